//! Members of the corp and its customers.
//!
//! Members ([`Staff`]) are thousands and stored; customers are millions and nothing but a number, from which id, name and union
//! id follow. Who has whom as a contact is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ids;

/// The department everybody is in.
pub const ROOT_DEPARTMENT: u32 = 1;
/// How many owners share a department.
const DEPARTMENT_SIZE: usize = 500;

/// A member of the corp, by place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StaffNo(pub u32);

/// A customer, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomerNo(pub u32);

/// Someone in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Person {
    /// A member of the corp.
    Staff(StaffNo),
    /// A customer.
    Customer(CustomerNo),
}

/// A member of the corp.
#[derive(Debug, Clone)]
pub struct Staff {
    /// The id, as it was first written.
    pub userid: String,
    /// What people call them.
    pub name: String,
    /// The department, a child of the root.
    pub department: u32,
    /// Whether they have left the corp.
    pub has_left: bool,
}

/// One customer as the contact of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// Since when, in seconds since 1970.
    pub since_s: u64,
    /// The channel it came by, as a number of [`Words`].
    pub state: u32,
    /// Tags.
    pub tags: Vec<String>,
}

/// Texts that many things share, each stored once. The empty text is number 0.
#[derive(Debug)]
pub struct Words {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Default for Words {
    fn default() -> Self {
        Self { texts: vec![String::new()], numbers: HashMap::from([(String::new(), 0)]) }
    }
}

impl Words {
    /// The number of a text.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|at| self.texts.get(at)).map_or("", String::as_str)
    }
}

/// Everybody.
#[derive(Debug, Default)]
pub struct People {
    seed: u64,
    staff: Vec<Staff>,
    by_userid: HashMap<String, StaffNo>,
    customers: u32,
    names: HashMap<CustomerNo, String>,
    follows: BTreeMap<(StaffNo, CustomerNo), Follow>,
    /// The same pairs, by customer.
    followed: BTreeSet<(CustomerNo, StaffNo)>,
    /// Channels of contacts and of joins.
    pub(crate) states: Words,
}

impl People {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Adds a member, or finds the one who has the id already; ids are unique ignoring case.
    pub fn hire(&mut self, userid: &str, name: &str) -> StaffNo {
        let key = userid.to_lowercase();
        if let Some(&known) = self.by_userid.get(&key) {
            return known;
        }
        let number = StaffNo(u32::try_from(self.staff.len()).unwrap_or(u32::MAX));
        let department = u32::try_from(self.staff.len() / DEPARTMENT_SIZE).unwrap_or(0) + ROOT_DEPARTMENT + 1;
        let (userid, name) = (userid.to_owned(), name.to_owned());
        self.staff.push(Staff { userid, name, department, has_left: false });
        self.by_userid.insert(key, number);
        number
    }

    /// A member leaves the corp.
    pub(crate) fn dismiss(&mut self, number: StaffNo) {
        if let Some(staff) = self.staff.get_mut(at(number.0)) {
            staff.has_left = true;
        }
    }

    /// The member of an id.
    pub fn staff_of(&self, userid: &str) -> Option<StaffNo> {
        self.by_userid.get(&userid.to_lowercase()).copied()
    }

    /// What is known of a member. Numbers come from this list, so there is one.
    pub fn staff(&self, number: StaffNo) -> &Staff {
        &self.staff[at(number.0)]
    }

    /// All members, in the order they were hired, those who left too.
    pub fn all_staff(&self) -> impl Iterator<Item = (StaffNo, &Staff)> {
        (0..).map(StaffNo).zip(&self.staff)
    }

    /// Departments with their members' numbers: the root first, everybody in one of its children.
    pub(crate) fn departments(&self) -> impl Iterator<Item = u32> {
        let last = self.staff.last().map_or(ROOT_DEPARTMENT, |staff| staff.department);
        ROOT_DEPARTMENT..=last
    }

    /// A customer nobody has met.
    pub fn new_customer(&mut self) -> CustomerNo {
        self.customers += 1;
        CustomerNo(self.customers - 1)
    }

    /// How many customers there are.
    pub fn customer_count(&self) -> u32 {
        self.customers
    }

    /// The id of a customer.
    pub fn external_userid(&self, customer: CustomerNo) -> String {
        ids::customer(self.seed, customer.0)
    }

    /// The customer of an id.
    pub fn customer_of(&self, id: &str) -> Option<CustomerNo> {
        ids::customer_number(self.seed, id).filter(|&number| number < self.customers).map(CustomerNo)
    }

    /// A customer's id across the apps of one developer; those of other corps have none.
    pub(crate) fn unionid(&self, customer: CustomerNo) -> Option<String> {
        (!ids::uses_wecom(customer.0)).then(|| ids::encode(self.seed, ids::UNION, customer.0))
    }

    /// What a customer is called.
    pub(crate) fn customer_name(&self, customer: CustomerNo) -> String {
        self.names.get(&customer).cloned().unwrap_or_else(|| given_name(u64::from(customer.0)))
    }

    /// Gives a customer a name.
    pub fn rename(&mut self, customer: CustomerNo, name: &str) {
        self.names.insert(customer, name.to_owned());
    }

    /// The id of someone in a group.
    pub fn id_of(&self, person: Person) -> String {
        match person {
            Person::Staff(staff) => self.staff(staff).userid.clone(),
            Person::Customer(customer) => self.external_userid(customer),
        }
    }

    /// The member or customer of an id.
    pub fn person_of(&self, id: &str) -> Option<Person> {
        self.staff_of(id).map(Person::Staff).or_else(|| self.customer_of(id).map(Person::Customer))
    }

    pub(crate) fn follow(&mut self, staff: StaffNo, customer: CustomerNo, since_s: u64, state: &str) {
        let state = self.states.number(state);
        self.followed.insert((customer, staff));
        self.follows.insert((staff, customer), Follow { since_s, state, tags: Vec::new() });
    }

    /// Tags a member's contact, in place of the tags it had.
    pub fn tag(&mut self, staff: StaffNo, customer: CustomerNo, tags: Vec<String>) {
        if let Some(follow) = self.follows.get_mut(&(staff, customer)) {
            follow.tags = tags;
        }
    }

    /// Ends a contact; says whether there was one.
    pub(crate) fn unfollow(&mut self, staff: StaffNo, customer: CustomerNo) -> bool {
        self.followed.remove(&(customer, staff));
        self.follows.remove(&(staff, customer)).is_some()
    }

    /// Whether, and since when, a customer is a member's contact.
    pub fn follows(&self, staff: StaffNo, customer: CustomerNo) -> Option<&Follow> {
        self.follows.get(&(staff, customer))
    }

    /// A member's contacts.
    pub fn contacts_of(&self, staff: StaffNo) -> impl Iterator<Item = CustomerNo> {
        let range = (staff, CustomerNo(0))..=(staff, CustomerNo(u32::MAX));
        self.follows.range(range).map(|((_, customer), _)| *customer)
    }

    /// The members whose contact a customer is.
    pub(crate) fn followers_of(&self, customer: CustomerNo) -> impl Iterator<Item = (StaffNo, &Follow)> {
        let range = (customer, StaffNo(0))..=(customer, StaffNo(u32::MAX));
        let pairs = self.followed.range(range);
        pairs.filter_map(|(customer, staff)| Some((*staff, self.follows.get(&(*staff, *customer))?)))
    }
}

/// A name that follows from a number; many people share one, as they do.
pub(crate) fn given_name(number: u64) -> String {
    const FAMILY: [&str; 12] = ["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙"];
    const GIVEN: [&str; 16] =
        ["伟", "芳", "娜", "敏", "静", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "霞"];
    let mut bits = ids::mix(number);
    let mut pick = |from: &[&'static str]| {
        let count = u64::try_from(from.len()).unwrap_or(1);
        let chosen = from[usize::try_from(bits % count).unwrap_or(0)];
        bits /= count;
        chosen
    };
    format!("{}{}{}", pick(&FAMILY), pick(&GIVEN), pick(&GIVEN))
}

/// A number as a place in a list.
pub(crate) fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_one_whatever_the_case_of_their_id() {
        let mut people = People::new(1);
        let zhang = people.hire("Zhang.San", "张三");
        assert_eq!(people.hire("zhang.san", "别人"), zhang);
        assert_eq!(people.staff_of("ZHANG.SAN"), Some(zhang));
        assert_eq!(people.staff(zhang).userid, "Zhang.San");
    }

    #[test]
    fn only_customers_who_exist_are_found() {
        let mut people = People::new(1);
        let unborn = ids::customer(1, 0);
        assert_eq!(people.customer_of(&unborn), None);
        let customer = people.new_customer();
        assert_eq!((people.external_userid(customer), people.customer_of(&unborn)), (unborn, Some(customer)));
        assert_eq!(people.customer_name(customer).chars().count(), 3);
    }

    #[test]
    fn contacts_are_kept_by_member() {
        let mut people = People::new(1);
        let (a, b) = (people.hire("a", "a"), people.hire("b", "b"));
        let customers: Vec<_> = (0..3).map(|_| people.new_customer()).collect();
        people.follow(a, customers[0], 10, "poster");
        people.follow(a, customers[2], 11, "");
        people.follow(b, customers[1], 12, "");
        assert_eq!(people.contacts_of(a).collect::<Vec<_>>(), [customers[0], customers[2]]);
        assert_eq!(people.followers_of(customers[1]).map(|(staff, _)| staff).collect::<Vec<_>>(), [b]);
        assert!(people.unfollow(a, customers[0]) && !people.unfollow(a, customers[0]));
    }
}
