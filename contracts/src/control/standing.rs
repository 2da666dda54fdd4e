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

/// Which jobs are held, and which orders there are. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    held: BTreeMap<GroupName, Arc<Hold>>,
    /// In the order of the log.
    orders: Vec<(OrderId, Arc<Control>)>,
}

impl Standing {
    /// Takes a record; without a value its key is deleted.
    ///
    /// # Errors
    /// The record cannot be read. A state that cannot be read holds its job all the same.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), ControlError> {
        let key = String::from_utf8_lossy(key);
        if let Some(id) = key.strip_prefix(ORDER_KEY).and_then(|id| id.parse::<OrderId>().ok()) {
            self.orders.retain(|(known, _)| *known != id);
        }
        let Some(value) = value else {
            self.held.remove(&GroupName::from(&*key));
            return Ok(());
        };
        let control = match Control::decode(value) {
            Ok(control) => control,
            Err(error) => {
                if !key.starts_with(ORDER_KEY) {
                    let said = Said { by: "somebody".to_owned(), at: Timestamp::UNIX_EPOCH, reason: None };
                    let hold = Hold { said, unknown: Some("something that cannot be read".to_owned()) };
                    self.held.insert(GroupName::from(&*key), Arc::new(hold));
                }
                return Err(error);
            }
        };
        match &control.what {
            What::Pause => self.hold(control, None),
            What::Unknown(kind, None) => {
                let kind = kind.clone();
                self.hold(control, Some(kind));
            }
            What::Resume => {
                self.held.remove(&control.group);
            }
            What::Order(id, _) => self.orders.push((*id, Arc::new(control))),
            // A newer runner does it.
            What::Unknown(_, Some(_)) => {}
        }
        Ok(())
    }

    fn hold(&mut self, control: Control, unknown: Option<String>) {
        self.held.insert(control.group, Arc::new(Hold { said: control.said, unknown }));
    }

    /// Why a job starts nothing; none if it may.
    pub fn hold_of(&self, group: &GroupName) -> Option<&Arc<Hold>> {
        self.held.get(group)
    }

    /// Every job that is held.
    pub fn held(&self) -> impl Iterator<Item = (&GroupName, &Arc<Hold>)> {
        self.held.iter()
    }

    /// The orders about a job that may still be begun now, in the order in which they were given.
    pub fn orders_of<'a>(
        &'a self,
        group: &'a GroupName,
        now: Timestamp,
    ) -> impl Iterator<Item = (OrderId, &'a Order, &'a Said)> {
        self.orders.iter().filter_map(move |(id, control)| match &control.what {
            What::Order(_, order) if control.group == *group && !control.said.is_expired(now) => {
                Some((*id, order, &control.said))
            }
            _ => None,
        })
    }

    /// An order by its id.
    pub fn order(&self, id: OrderId) -> Option<&Control> {
        self.orders.iter().find(|(known, _)| *known == id).map(|(_, control)| &**control)
    }

    /// The orders that nobody begins any more now.
    pub fn expired(&self, now: Timestamp) -> impl Iterator<Item = OrderId> {
        self.orders.iter().filter(move |(_, control)| control.said.is_expired(now)).map(|(id, _)| *id)
    }
}
