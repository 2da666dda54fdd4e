package herald.streams;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;

/**
 * Detection and nothing else: the data of each event.
 *
 * <p>It does less than Herald: no ids, no duplicates, no attributes of the event, no record of what was decided.
 */
final class Bare extends ContextualProcessor<byte[], byte[], byte[], byte[]> {
    private final ObjectMapper json = new ObjectMapper();

    @Override
    public void process(Record<byte[], byte[]> raw) {
        var detection = Detection.of(json, raw.value());
        for (var ignored : detection.rules()) {
            context().forward(new Record<>(raw.key(), detection.data(json), raw.timestamp(), new RecordHeaders()));
        }
    }
}
