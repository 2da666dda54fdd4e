//! What all records of `control` together come to.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{Control, ControlError, ORDER_KEY, Order, Said, What};
use crate::{ids::OrderId, names::GroupName};

/// Why a job starts nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Who paused it, when and why.
    pub said: Said,
    /// What was said, where it is not a plain pause but a state that this version does not know: nothing runs by accident.
    pub unknown: Option<String>,
}

/// An order that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its id.
    pub id: OrderId,
    /// The job's group.
    pub group: GroupName,
    /// Who gave it, when and why.
    pub said: Said,
    /// What is to be done.
    pub order: Order,
}

/// Which jobs are held, and which orders there are. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    held: BTreeMap<GroupName, Arc<Hold>>,
    /// When those that are not held were last let go on.
    resumed: BTreeMap<GroupName, Timestamp>,
    /// In the order of the log.
    orders: Vec<Arc<Given>>,
}

impl Standing {
    /// Takes a record; without a value its key is deleted.
    ///
    /// # Errors
    /// The record cannot be read. A state that cannot be read holds its job all the same.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), ControlError> {
        let key = String::from_utf8_lossy(key);
        if let Some(id) = key.strip_prefix(ORDER_KEY).and_then(|id| id.parse::<OrderId>().ok()) {
            self.orders.retain(|given| given.id != id);
        }
        let Some(value) = value else {
            self.held.remove(&GroupName::from(&*key));
            self.resumed.remove(&GroupName::from(&*key));
            return Ok(());
        };
        let control = match Control::decode(value) {
            Ok(control) => control,
            Err(error) => {
                if !key.starts_with(ORDER_KEY) {
                    let said = Said { by: "somebody".to_owned(), at: Timestamp::UNIX_EPOCH, because: None };
                    let unknown = Some("something that cannot be read".to_owned());
                    self.hold(GroupName::from(&*key), Hold { said, unknown });
                }
                return Err(error);
            }
        };
        let Control { group, said, what } = control;
        match what {
            What::Pause => self.hold(group, Hold { said, unknown: None }),
            What::Unknown(kind, None) => self.hold(group, Hold { said, unknown: Some(kind) }),
            What::Resume => {
                self.held.remove(&group);
                self.resumed.insert(group, said.at);
            }
            What::Order(id, order) => self.orders.push(Arc::new(Given { id, group, said, order })),
            // A newer runner does it.
            What::Unknown(_, Some(_)) => {}
        }
        Ok(())
    }

    fn hold(&mut self, group: GroupName, hold: Hold) {
        self.resumed.remove(&group);
        self.held.insert(group, Arc::new(hold));
    }

    /// Why a job starts nothing; none if it may.
    pub fn hold_of(&self, group: &GroupName) -> Option<&Arc<Hold>> {
        self.held.get(group)
    }

    /// When a job was last let go on, unless it is held.
    pub fn resumed(&self, group: &GroupName) -> Option<Timestamp> {
        self.resumed.get(group).copied()
    }

    /// Every job that is held.
    pub fn held(&self) -> impl Iterator<Item = (&GroupName, &Arc<Hold>)> {
        self.held.iter()
    }

    /// The orders that may still be begun now, in the order in which they were given.
    pub fn orders(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Given>> {
        self.orders.iter().filter(move |given| !given.said.is_expired(now))
    }

    /// Those of them that are about a job.
    pub fn orders_of(&self, group: &GroupName, now: Timestamp) -> impl Iterator<Item = &Arc<Given>> {
        self.orders(now).filter(move |given| given.group == *group)
    }

    /// An order by its id.
    pub fn order(&self, id: OrderId) -> Option<&Arc<Given>> {
        self.orders.iter().find(|given| given.id == id)
    }

    /// The orders that nobody begins any more now.
    pub fn expired(&self, now: Timestamp) -> impl Iterator<Item = OrderId> {
        self.orders.iter().filter(move |given| given.said.is_expired(now)).map(|given| given.id)
    }
}
