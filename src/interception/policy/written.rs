//! Forms of writing: a wordlist as its bare name, a strictness as the flag it was in earlier versions.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{LevelVerdicts, Strictness, WordlistRule};

/// A strictness, or what came before it: whether to be strict.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`relaxed`, `standard` or `strict`")]
enum StrictnessIn {
    Named(Strictness),
    Flag(bool),
}

/// Reads a policy's; not to be strict was to be as by default.
pub(super) fn strictness_of<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Strictness>, D::Error> {
    Ok(Option::<StrictnessIn>::deserialize(from)?.map(|given| match given {
        StrictnessIn::Named(strictness) => strictness,
        StrictnessIn::Flag(true) => Strictness::Strict,
        StrictnessIn::Flag(false) => Strictness::default(),
    }))
}

/// Reads a category's; not to be strict was to be as the policy.
pub(super) fn strictness_if<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Strictness>, D::Error> {
    Ok(match Option::<StrictnessIn>::deserialize(from)? {
        Some(StrictnessIn::Named(strictness)) => Some(strictness),
        Some(StrictnessIn::Flag(true)) => Some(Strictness::Strict),
        Some(StrictnessIn::Flag(false)) | None => None,
    })
}

impl Serialize for WordlistRule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.strictness.is_none() && self.levels.is_empty() {
            return to.serialize_str(&self.name);
        }
        let mut object = to.serialize_struct("WordlistRule", 3)?;
        object.serialize_field("name", &self.name)?;
        match &self.strictness {
            Some(strictness) => object.serialize_field("strictness", strictness)?,
            None => object.skip_field("strictness")?,
        }
        if self.levels.is_empty() {
            object.skip_field("levels")?;
        } else {
            object.serialize_field("levels", &self.levels)?;
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for WordlistRule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            name: String,
            #[serde(default)]
            strictness: Option<Strictness>,
            #[serde(default)]
            levels: LevelVerdicts,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = WordlistRule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a wordlist, or an object with `name`, `strictness`, `levels`")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<WordlistRule, E> {
                Ok(WordlistRule { name: name.to_owned(), ..WordlistRule::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WordlistRule, A::Error> {
                let Object { name, strictness, levels } =
                    Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WordlistRule { name, strictness, levels })
            }
        }
        from.deserialize_any(Either)
    }
}

impl From<&str> for WordlistRule {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}
