//! Copies of a data directory while it is in use, and coming back from one.
//!
//! The projection is copied first, the journal second: a journal newer than the projection only means that the gap is
//! folded again. Each file is copied by a reader on one snapshot, so that no commit waits. A manifest with sizes and
//! checksums is written last: a copy without one is not a backup.
//!
//! A backup is older than the world. What it calls unsent may have been sent since, so after a restore nothing is sent
//! that a person has not looked at: broadcasts are paused, calls under way and waiting replies are `uncertain`, and
//! replies asked for by the restored journal are not made. State changes are told under numbers that the lost ledger did
//! not reach: receivers would take them for known.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::place::LOCK;
use super::{fault, journal, schema, signed, status};
use crate::storage::{Config, StorageError};

const MANIFEST: &str = "manifest.json";

/// The manifest's own format.
const MANIFEST_FORMAT: u32 = 1;

/// What a restore brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Broadcasts that were active and are paused now.
    pub broadcasts_paused: u64,
    /// Deliveries of which nobody knows whether they went out since the backup.
    pub deliveries_uncertain: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    version: String,
    files: Vec<ManifestFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestFile {
    name: String,
    schema: i64,
    bytes: u64,
    sha256: String,
}

/// Copies everything into a new or empty directory. Blocking; the caller keeps rows from being pruned meanwhile.
pub(super) fn backup(from: &Path, to: &Path) -> Result<(), StorageError> {
    make_empty(to)?;
    let mut files = Vec::new();
    for schema in schema::ALL {
        let copy = to.join(schema.file);
        let source = schema::open_reading(&from.join(schema.file))?;
        let name = copy.to_str().ok_or_else(|| {
            StorageError::failed("back up", "the directory's name is not UTF-8; choose another one")
        })?;
        source.execute("VACUUM INTO ?1", [name]).map_err(fault("copy a file for the backup"))?;
        let version = version_of(&source)?;
        drop(source);
        let (bytes, sha256) = seal_file(&copy)?;
        files.push(ManifestFile { name: schema.file.to_owned(), schema: version, bytes, sha256 });
    }
    let manifest = Manifest { format: MANIFEST_FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), files };
    let text = serde_json::to_vec_pretty(&manifest).expect("plain fields are always JSON");
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(to.join(MANIFEST))
        .map_err(io("write the manifest of the backup"))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(io("write the manifest of the backup"))?;
    sync_dir(to)
}

/// Puts a backup into an empty (or new) data directory, checked first. Blocking.
///
/// # Errors
/// When the copy is damaged or newer than this program, or the directory holds something already.
pub fn restore(from: &Path, to: &Path, now_ms: i64) -> Result<Restored, StorageError> {
    let manifest = verify(from)?;
    make_empty(to)?;
    for file in &manifest.files {
        std::fs::copy(from.join(&file.name), to.join(&file.name)).map_err(io("copy a file of the backup"))?;
        seal_file(&to.join(&file.name))?;
    }
    let _lock = super::lock(to)?;
    let config = Config::default();
    let journal = schema::open(to, &schema::JOURNAL, &config)?;
    let ledger = schema::open(to, &schema::LEDGER, &config)?;
    let restored = quieten(&ledger, now_ms)?;
    journal
        .execute(
            "INSERT OR REPLACE INTO meta VALUES ('sends_floor', ?1)",
            [signed(journal::last_position(&journal)?)],
        )
        .map_err(fault("restore"))?;
    for conn in [journal, ledger] {
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(fault("restore"))?;
    }
    sync_dir(to)?;
    Ok(restored)
}

/// Reads the manifest and compares every file with it.
fn verify(from: &Path) -> Result<Manifest, StorageError> {
    let path = from.join(MANIFEST);
    let damaged = |what: &Path, detail: String| StorageError::unreadable(what.display().to_string(), detail);
    let text = std::fs::read(&path)
        .map_err(|e| damaged(&path, format!("{e}; name a directory that `menshen backup` finished")))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|e| damaged(&path, format!("{e}; it may be of a newer menshen")))?;
    if manifest.format != MANIFEST_FORMAT {
        return Err(damaged(&path, "it is of a newer menshen; restore with that version".to_owned()));
    }
    for schema in schema::ALL {
        let Some(file) = manifest.files.iter().find(|file| file.name == schema.file) else {
            return Err(damaged(&path, format!("it lists no {}", schema.file)));
        };
        schema::check_version(schema, file.schema)?;
        let path = from.join(&file.name);
        let (bytes, sha256) = digest(&path)?;
        if (bytes, &sha256) != (file.bytes, &file.sha256) {
            let detail = "it differs from the manifest: the copy is damaged, take another backup".to_owned();
            return Err(damaged(&path, detail));
        }
    }
    if manifest.files.len() != schema::ALL.len() {
        return Err(damaged(&path, "it lists files that this version does not know".to_owned()));
    }
    Ok(manifest)
}

/// Keeps a restored ledger from sending anything by itself.
fn quieten(ledger: &Connection, now_ms: i64) -> Result<Restored, StorageError> {
    let tx = ledger.unchecked_transaction().map_err(fault("restore"))?;
    let broadcasts: Vec<(String, String)> = tx
        .prepare("SELECT id, body FROM document WHERE kind = 'broadcast'")
        .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(fault("restore"))?;
    let mut restored = Restored::default();
    for (id, body) in broadcasts {
        let Some((body, was_running)) = quiet(&body) else { continue };
        tx.execute(
            "UPDATE document SET body = ?2, version = version + 1 WHERE kind = 'broadcast' AND id = ?1",
            params![id, body],
        )
        .map_err(fault("restore"))?;
        restored.broadcasts_paused += u64::from(was_running);
    }
    status::begin_anew(&tx, now_ms)?;
    tx.execute("UPDATE attempt SET ended_ms = started_ms WHERE ended_ms IS NULL", [])
        .map_err(fault("restore"))?;
    let uncertain = tx
        .execute(
            "UPDATE delivery SET state = 'uncertain', code = 'restored',
             detail = 'the backup is older than what may have been sent since'
             WHERE state = 'sending' OR (state = 'pending' AND broadcast = '')",
            [],
        )
        .map_err(fault("restore"))?;
    restored.deliveries_uncertain = uncertain as u64;
    tx.commit().map_err(fault("restore"))?;
    Ok(restored)
}

/// What a restored broadcast says of itself, whoever may let it go on.
const RESTORED: &str = "restored from a backup: look what was sent since 从备份恢复，先看之后发过没有";

/// Returns the body of a broadcast of which something may be left, with a word of warning, and paused if it ran; and whether
/// it did. `control` is what people decided about it, `closed` says that nothing of it is left.
fn quiet(body: &str) -> Option<(String, bool)> {
    let mut value: serde_json::Value = serde_json::from_str(body).ok()?;
    let fields = value.as_object_mut()?;
    let control = fields.get("control")?.as_str()?.to_owned();
    if control == "cancelled" || fields.get("closed").is_some_and(|closed| closed == true) {
        return None;
    }
    fields.insert("reason".to_owned(), RESTORED.into());
    let was_running = control == "running";
    if was_running {
        fields.insert("control".to_owned(), "paused".into());
    }
    Some((value.to_string(), was_running))
}

/// Makes a directory (mode 0700), or checks that it is empty but for a lock file.
fn make_empty(dir: &Path) -> Result<(), StorageError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("make a directory"))?;
    for entry in dir.read_dir().map_err(io("read a directory"))? {
        let name = entry.map_err(io("read a directory"))?.file_name();
        if name != LOCK {
            return Err(StorageError::unreadable(
                dir.display().to_string(),
                "it must be a new or empty directory; nothing was changed",
            ));
        }
    }
    Ok(())
}

fn version_of(conn: &Connection) -> Result<i64, StorageError> {
    conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fault("back up"))
}

/// Makes a copied file private and durable; returns its size and checksum.
fn seal_file(path: &Path) -> Result<(u64, String), StorageError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(io("protect a copied file"))?;
    File::open(path).and_then(|file| file.sync_all()).map_err(io("make a copied file durable"))?;
    digest(path)
}

fn digest(path: &Path) -> Result<(u64, String), StorageError> {
    let mut file = BufReader::new(File::open(path).map_err(io("read a file of the backup"))?);
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer).map_err(io("read a file of the backup"))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
    let hex = hash.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    Ok((bytes, hex))
}

fn sync_dir(dir: &Path) -> Result<(), StorageError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("make a directory durable"))
}

fn io(operation: &'static str) -> impl Fn(std::io::Error) -> StorageError {
    move |error| StorageError::failed(operation, error)
}
