//! Where a condition holds, what it wants to have changed has changed.

use proptest::prelude::*;

use super::*;

fn term() -> impl Strategy<Value = String> {
    let column = || prop::sample::select(&["a", "b", "c"][..]);
    let value = || prop::sample::select(&["1", "2.0", "null"][..]);
    let leaf = prop_oneof![
        column().prop_map(|column| format!("changed('{column}')")),
        (column(), value()).prop_map(|(column, value)| format!("became('{column}', {value})")),
        (column(), value()).prop_map(|(column, value)| format!("was('{column}', {value})")),
        (column(), value()).prop_map(|(column, value)| format!("new.{column} == {value}")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("!{a}")),
        ]
    })
}

fn row() -> impl Strategy<Value = Json> {
    let value = prop::sample::select(vec![json!(1), json!(2), json!(null)]);
    prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), value, 0..4).prop_map(|row| json!(row))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn where_a_condition_holds_what_it_wants_to_have_changed_has(condition in term(), old in row(), new in row()) {
        let compiled = Expression::compile(&condition, Scope::Change).expect("an expression");
        let body = body("UPDATE", &old.to_string(), &new.to_string());
        let change = change(&body);
        let has_changed = |column: &str| old.get(column) != new.get(column);
        let holds = compiled.holds(&Bindings { change: Some(&change), ..Bindings::default() }) == Ok(true);
        if let Some(wanted) = compiled.wanted_changes() {
            prop_assert!(!holds || wanted.iter().any(|column| has_changed(column)), "{} of {}", condition, body);
            prop_assert!(compiled.holds_only_with_changes(&|column| wanted.contains(column)), "{}", condition);
        }
        for column in ["a", "b", "c"] {
            let is_needed = compiled.holds_only_with_changes(&|name| name == column);
            prop_assert!(!holds || !is_needed || has_changed(column), "{} without {} of {}", condition, column, body);
        }
    }
}
