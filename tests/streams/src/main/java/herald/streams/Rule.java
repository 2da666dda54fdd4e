package herald.streams;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/**
 * A named condition over a change: the files of <code>tests/compare/catalog</code> in Java.
 *
 * <p>Numbers are compared as Jackson reads them, as doubles, where Herald compares them exactly: the cheaper way.
 */
record Rule(String event, Predicate<Change> when) {
    private static final Set<String> GONE = Set.of("lost", "stolen");

    /** One row before and after an update. */
    record Change(String op, JsonNode before, JsonNode after) {
        boolean changed(String column) {
            return !before.path(column).equals(after.path(column));
        }

        boolean was(String column, String value) {
            return value.equals(before.path(column).textValue());
        }

        boolean is(String column, String value) {
            return value.equals(after.path(column).textValue());
        }

        boolean became(String column, String value) {
            return is(column, value) && changed(column);
        }
    }

    /** Every rule, in the order of its file. */
    static final List<Rule> ALL = List.of(
            new Rule("move.cancel.approved", c -> c.became("cancel_status", "approved")),
            new Rule("move.customer.watched", c -> c.after.path("customer_id").asLong() == 4711 && c.op.equals("UPDATE")),
            new Rule("move.delivered", c -> c.became("status", "delivered")),
            new Rule("move.driver.assigned", c -> c.changed("driver_id") && !c.after.path("driver_id").isNull()),
            new Rule("move.gone", c -> GONE.contains(c.after.path("status").asText())),
            new Rule("move.pickup.successful", c -> c.became("status", "pickup successful")),
            new Rule("move.plate.changed", c -> c.after.path("plate").asText().startsWith("M-") && c.changed("plate")),
            new Rule("move.price.raised", c -> c.changed("price") && c.after.path("price").asDouble() > 1000),
            new Rule("move.rescheduled", c -> c.changed("pickup_at") && !c.before.path("pickup_at").isNull()),
            new Rule("move.started", c -> c.was("status", "planned") && !c.is("status", "planned")));
}
