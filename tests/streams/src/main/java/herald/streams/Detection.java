package herald.streams;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.List;

/** What Hasura sent, parsed, and the rules that hold for it. */
record Detection(JsonNode body, Rule.Change change, List<Rule> rules) {
    static Detection of(ObjectMapper json, byte[] value) {
        JsonNode body;
        try {
            body = json.readTree(value);
        } catch (IOException error) {
            throw new IllegalArgumentException("a raw record that is no JSON", error);
        }
        var event = body.path("event");
        var change = new Rule.Change(
                event.path("op").asText(), event.path("data").path("old"), event.path("data").path("new"));
        return new Detection(body, change, Rule.ALL.stream().filter(rule -> rule.when().test(change)).toList());
    }

    /** What an event carries, with its members in the order in which Herald writes them. */
    byte[] data(ObjectMapper json) {
        ObjectNode data = json.createObjectNode();
        data.set("at", change.after().path("updated_at"));
        data.set("customerId", change.after().path("customer_id"));
        data.set("moveId", change.after().path("id"));
        data.set("revision", change.after().path("revision"));
        return bytes(json, data);
    }

    static byte[] bytes(ObjectMapper json, JsonNode node) {
        try {
            return json.writeValueAsBytes(node);
        } catch (IOException error) {
            throw new IllegalStateException("a tree can be written", error);
        }
    }
}
