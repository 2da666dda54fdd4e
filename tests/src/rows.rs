//! Rows that are inserted under load while something fails, and the count of what became of them.
//!
//! Clients post as Hasura does: again, with the same id, until there is a 2xx. What is counted afterwards is the log itself,
//! record by record, and what the API says of it. A job's effect may happen more than once, always under the same
//! idempotency key; its result is there once.
#![expect(clippy::unwrap_used, reason = "tests")]

mod count;
mod load;

pub use count::{OfLog, caught_up, of_effects, of_log, of_order, of_results, settled};
pub use load::{CLIENTS, Load, Sent};

/// Every row is an event whose job only logs; some are also one whose job takes a moment, and a few one that runs a program. The
/// count expects it.
pub const CATALOG: [(&str, &str); 3] = [
    (
        "row.logged",
        "from: { table: rows, operations: [insert] }\ndata: { n: new.n }\nkey: data.n\nsample: { n: 1 }\n\
         jobs:\n  - id: note\n    log: { message: \"row ${data.n}\" }\n    attempts: 100\n",
    ),
    (
        "row.simulated",
        "from: { table: rows, operations: [insert] }\nwhen: |\n  new.n % 5 == 0\ndata: { n: new.n }\nkey: data.n\nsample: { n: 1 }\n\
         jobs:\n  - id: moment\n    simulate: { delay: 3ms }\n    attempts: 100\n    concurrency: 32\n\
         \u{20} - id: unordered\n    simulate: {}\n    order: none\n    attempts: 100\n",
    ),
    (
        "row.commanded",
        "from: { table: rows, operations: [insert] }\nwhen: |\n  new.n % 40 == 0\ndata: { n: new.n }\nkey: data.n % 3\nsample: { n: 1 }\n\
         jobs:\n  - id: effect\n    attempts: 100\n\
         \u{20}   command: [sh, -c, 'echo \"$HERALD_RUN_ID\" >> \"$SCRATCH/effects\"']\n",
    ),
];
