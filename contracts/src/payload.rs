//! The bodies of Hasura's triggers as types, for whoever makes one and for their JSON Schemas. What arrives is read by
//! [`crate::hasura`], which asks for less: the wire has more shapes than any type should.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::hasura::Op;

/// An event trigger's body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventPayload {
    /// Hasura's id of the event: the same on every delivery of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When the row of Hasura's log was written, in the time zone of whatever session wrote it: no reliable instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// The table.
    pub table: TableName,
    /// The trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerName>,
    /// What happened.
    pub event: Event,
    /// How often Hasura has tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_info: Option<DeliveryInfo>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TableName {
    /// Its schema; `public` where it is missing or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerName {
    /// Its name.
    pub name: String,
}

/// What happened to a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The operation.
    pub op: Op,
    /// The row before and after.
    pub data: Rows,
    /// `x-hasura-…` variables of the session, all text; null when the write did not go through Hasura.
    #[serde(default)]
    pub session_variables: Option<Map<String, Value>>,
    /// Hasura's trace.
    #[serde(default)]
    pub trace_context: Option<TraceContext>,
}

/// The row before and after the change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rows {
    /// Before; null for INSERT and MANUAL.
    #[serde(default)]
    pub old: Value,
    /// After; null for DELETE.
    #[serde(default)]
    pub new: Value,
}

/// Hasura's trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceContext {
    /// In hex.
    pub trace_id: String,
    /// In hex.
    pub span_id: String,
}

/// How often Hasura has tried to deliver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryInfo {
    /// Tries before this one.
    pub current_retry: u32,
    /// The most tries after the first.
    pub max_retries: u32,
}

/// A cron or one-off trigger's body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledPayload {
    /// The scheduled event's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The cron trigger's name; one-off triggers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was due.
    pub scheduled_time: String,
    /// What was configured to be sent.
    #[serde(default)]
    pub payload: Value,
    /// What it is for; of one without a name, what events choose it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When a one-off was made; cron triggers send none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

/// An action's body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionPayload {
    /// Which action.
    pub action: ActionName,
    /// Its arguments.
    #[serde(default)]
    pub input: Value,
    /// `x-hasura-…` variables of who calls it, all text.
    #[serde(default)]
    pub session_variables: Option<Map<String, Value>>,
    /// The GraphQL that called it; null where it is asynchronous.
    #[serde(default)]
    pub request_query: Option<String>,
}

/// An action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionName {
    /// Its name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hasura::{Body, recognise};

    #[test]
    fn a_payload_of_these_types_is_recognised() {
        let row = |id: u32| serde_json::json!({ "id": id });
        let payload = EventPayload {
            id: Some("1".into()),
            created_at: None,
            table: TableName { schema: None, name: "moves".into() },
            trigger: Some(TriggerName { name: "t".into() }),
            event: Event {
                op: Op::Update,
                data: Rows { old: row(1), new: row(2) },
                session_variables: None,
                trace_context: None,
            },
            delivery_info: Some(DeliveryInfo { current_retry: 0, max_retries: 3 }),
        };
        let text = serde_json::to_vec(&payload).expect("JSON");
        assert!(matches!(recognise(&text), Ok(Body::Event(event)) if event.table == "moves" && event.op == Op::Update));
        assert_eq!(serde_json::from_slice::<EventPayload>(&text).expect("what was written"), payload);
        let scheduled = ScheduledPayload {
            id: None,
            name: None,
            scheduled_time: "2026-01-01T00:00:00Z".into(),
            payload: row(1),
            comment: None,
            created_at: None,
        };
        let text = serde_json::to_vec(&scheduled).expect("JSON");
        assert!(matches!(recognise(&text), Ok(Body::Scheduled(_))));
    }
}
