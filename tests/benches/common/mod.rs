//! What the benchmarks share: ten rules on one table, and the example's body.
#![allow(dead_code, reason = "each benchmark uses its own part of this")]

use catalog::{Catalog, Sources};
use job_runner::{Config, Registry};

/// Ten events on `moves`, of which the example's body is one.
pub(crate) fn ten_rules() -> Catalog {
    ten("")
}

/// The same with a schema of their data.
pub(crate) fn ten_rules_with_schemas() -> Catalog {
    ten("schema:\n  type: object\n  required: [moveId, customerId]\n  additionalProperties: false\n  properties:\n    \
         moveId: { type: integer }\n    customerId: { type: [integer, \"null\"] }\n    at: { type: string, format: date-time }\n")
}

fn ten(schema: &str) -> Catalog {
    let conditions = [
        "became(\"status\", \"pickup successful\")",
        "became(\"status\", \"delivered\")",
        "became(\"cancel_status\", \"approved\")",
        "changed(\"driver_id\") && new.driver_id != null",
        "changed(\"price\") && new.price > 1000",
        "new.status in [\"lost\", \"stolen\"]",
        "was(\"status\", \"planned\") && new.status != \"planned\"",
        "new.plate.startsWith(\"M-\") && changed(\"plate\")",
        "changed(\"pickup_at\") && old.pickup_at != null",
        "new.customer_id == 4711 && op == \"UPDATE\"",
    ];
    let files = conditions.iter().enumerate().map(|(index, when)| {
        let text = format!(
            "from: {{ table: public.moves, operations: [update] }}\nwhen: |\n  {when}\n\
             data: {{ moveId: new.id, customerId: new.customer_id, at: new.updated_at }}\nkey: data.moveId\n\
             {schema}sample: {{ moveId: 1 }}\njobs:\n  - id: note\n    log: {{}}\n"
        );
        (format!("events/move.rule-{index}.yaml"), text)
    });
    let outcome = Catalog::compile(&Sources::new(files), &Registry::standard(&Config::default()));
    outcome.catalog.unwrap_or_else(|| panic!("{}", outcome.report))
}

/// Fifty events on `moves`, none of which the example's body is: five kinds of conditions, ten of each, that begin alike.
pub(crate) fn fifty_rules() -> Catalog {
    fifty(|index| {
        let conditions = [
            "became(\"status\", \"delivered\")",
            "became(\"cancel_status\", \"approved\")",
            "changed(\"price\") && new.price > 1000",
            "new.status in [\"lost\", \"stolen\"]",
            "new.customer_id == 4711 && op == \"UPDATE\"",
        ];
        format!("{} && new.id != {index}", conditions[index % conditions.len()])
    })
}

/// The same of which each wants something else, so that no two begin alike.
pub(crate) fn fifty_others() -> Catalog {
    fifty(|index| match index % 5 {
        0 => format!("became(\"status\", \"delivered {index}\")"),
        1 => format!("became(\"cancel_status\", \"approved {index}\")"),
        2 => format!("changed(\"price\") && new.price > {}", 1000 + index),
        3 => format!("new.status in [\"lost {index}\", \"stolen {index}\"]"),
        _ => format!("new.customer_id == {} && op == \"UPDATE\"", 4711 + index),
    })
}

fn fifty(when: impl Fn(usize) -> String) -> Catalog {
    let files = (0..50).map(|index| {
        let text = format!(
            "from: {{ table: public.moves, operations: [update] }}\nwhen: |\n  {}\n\
             data: {{ moveId: new.id, customerId: new.customer_id, at: new.updated_at }}\nkey: data.moveId\n\
             sample: {{ moveId: 1 }}\njobs:\n  - id: note\n    log: {{}}\n",
            when(index)
        );
        (format!("events/move.rule-{index}.yaml"), text)
    });
    let outcome = Catalog::compile(&Sources::new(files), &Registry::standard(&Config::default()));
    outcome.catalog.unwrap_or_else(|| panic!("{}", outcome.report))
}

/// The example's body, as Hasura sends it.
pub(crate) fn body() -> Vec<u8> {
    std::fs::read(tests::root().join("examples/moves/payloads/pickup-successful.json")).expect("the example")
}
