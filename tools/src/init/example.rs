//! A catalog of one event on a table that is made up.

use super::files::Plan;
use crate::hasura::DEFAULT_SOURCE;

const FILES: [(&str, &str); 3] = [
    ("events/order.shipped.yaml", include_str!("example/events/order.shipped.yaml")),
    ("payloads/order.shipped.json", include_str!("example/payloads/order.shipped.json")),
    ("tables/public.orders.yaml", include_str!("example/tables/public.orders.yaml")),
];

pub(super) fn plan() -> Plan {
    let mut plan = Plan::default();
    for (path, text) in FILES {
        plan.add(path, text.to_owned());
    }
    plan.payloads.push(("payloads/order.shipped.json".to_owned(), DEFAULT_SOURCE.to_owned()));
    plan
}
