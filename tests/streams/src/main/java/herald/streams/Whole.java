package herald.streams;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.UUID;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * What Herald's detector does, as one would write it with Kafka Streams: an id seen within the last hour is a duplicate,
 * each event is a CloudEvent with a derived id, and a progress record says what was decided.
 */
final class Whole extends ContextualProcessor<byte[], byte[], byte[], byte[]> {
    static final String SEEN = "seen";
    private static final Duration WINDOW = Duration.ofHours(1);

    private final ObjectMapper json = new ObjectMapper();
    private final String events;
    private final String progress;
    private WindowStore<byte[], Long> seen;

    /** The names of the sinks for events and for progress. */
    Whole(String events, String progress) {
        this.events = events;
        this.progress = progress;
    }

    /** The store of recent ids, which a changelog topic makes durable. */
    static StoreBuilder<WindowStore<byte[], Long>> store() {
        var supplier = Stores.persistentWindowStore(SEEN, WINDOW, WINDOW, false);
        return Stores.windowStoreBuilder(supplier, Serdes.ByteArray(), Serdes.Long());
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        super.init(context);
        seen = context.getStateStore(SEEN);
    }

    @Override
    public void process(Record<byte[], byte[]> raw) {
        var place = context().recordMetadata().orElseThrow();
        var invocation = UUID.fromString(text(raw.headers(), "herald-invocation"));
        var detection = Detection.of(json, raw.value());
        var duplicate = isDuplicate(invocation, raw.timestamp(), place.offset());
        var detected = json.createArrayNode();
        if (!duplicate) {
            for (var rule : detection.rules()) {
                var id = derived(invocation, rule.event());
                var headers = attributes(raw, detection, rule, id, place);
                var event = new Record<>(raw.key(), detection.data(json), raw.timestamp(), headers);
                context().forward(event, events);
                ObjectNode entry = detected.addObject();
                entry.put("id", id.toString()).put("event", rule.event()).putArray("jobs").add("note");
            }
        }
        var fact = told(raw.headers(), detection, place, duplicate ? "duplicate" : "detected", detected);
        var key = text(raw.headers(), "herald-correlation").getBytes(UTF_8);
        var value = Detection.bytes(json, fact);
        context().forward(new Record<>(key, value, raw.timestamp(), new RecordHeaders()), progress);
    }

    private boolean isDuplicate(UUID invocation, long time, long offset) {
        var key = ByteBuffer.allocate(16)
                .putLong(invocation.getMostSignificantBits())
                .putLong(invocation.getLeastSignificantBits())
                .array();
        try (var found = seen.fetch(key, Math.max(0, time - WINDOW.toMillis()), time + WINDOW.toMillis())) {
            if (found.hasNext()) {
                return true;
            }
        }
        seen.put(key, offset, time);
        return false;
    }

    private static Headers attributes(
            Record<byte[], byte[]> raw, Detection detection, Rule rule, UUID id, RecordMetadata place) {
        var from = raw.headers();
        var session = detection.body().path("event").path("session_variables");
        var to = new RecordHeaders();
        add(to, "ce_specversion", "1.0");
        add(to, "ce_id", id.toString());
        add(to, "ce_source", "/hasura/" + text(from, "herald-source"));
        add(to, "ce_type", rule.event());
        to.add("ce_subject", raw.key());
        to.add("ce_time", from.lastHeader("herald-received").value());
        add(to, "ce_dataschema", "http://127.0.0.1:8081/v1/schemas/" + rule.event() + "/1");
        to.add("ce_correlationid", from.lastHeader("herald-correlation").value());
        to.add("ce_causationid", from.lastHeader("herald-invocation").value());
        add(to, "ce_userid", session.path("x-hasura-user-id").asText());
        add(to, "ce_organisationid", session.path("x-hasura-organisation-id").asText());
        to.add("traceparent", from.lastHeader("traceparent").value());
        add(to, "content-type", "application/json");
        add(to, "herald-jobs", "note");
        add(to, "herald-catalog", "1");
        add(to, "herald-raw", place.partition() + "/" + place.offset());
        return to;
    }

    private ObjectNode told(
            Headers from, Detection detection, RecordMetadata place, String kind, ArrayNode detected) {
        var fact = json.createObjectNode();
        fact.put("v", 1).put("kind", kind);
        fact.putObject("occurrence")
                .put("invocation", text(from, "herald-invocation"))
                .put("correlation", text(from, "herald-correlation"))
                .put("raw", place.partition() + "/" + place.offset())
                .put("received", text(from, "herald-received"));
        var table = detection.body().path("table");
        fact.putObject("origin")
                .put("body", text(from, "herald-kind"))
                .put("source", text(from, "herald-source"))
                .put("table", table.path("schema").asText() + "." + table.path("name").asText())
                .put("op", detection.change().op())
                .put("trigger", detection.body().path("trigger").path("name").asText())
                .put("user", detection.body().path("event").path("session_variables").path("x-hasura-user-id").asText());
        fact.put("catalog", 1).set("events", detected);
        return fact;
    }

    /** A UUID of version 5: the same for the same invocation and event. */
    private static UUID derived(UUID invocation, String event) {
        try {
            var sha1 = MessageDigest.getInstance("SHA-1");
            sha1.update((invocation + event).getBytes(UTF_8));
            var digest = ByteBuffer.wrap(sha1.digest());
            var high = digest.getLong() & ~0xf000L | 0x5000L;
            var low = digest.getLong() & 0x3fffffffffffffffL | 0x8000000000000000L;
            return new UUID(high, low);
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException("every Java has SHA-1", error);
        }
    }

    private static void add(Headers headers, String name, String value) {
        headers.add(name, value.getBytes(UTF_8));
    }

    private static String text(Headers headers, String name) {
        return new String(headers.lastHeader(name).value(), UTF_8);
    }
}
