package herald.streams;

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * Detection with ten conditions in Kafka Streams, exactly once: what Herald's detector is compared with.
 *
 * <p>Arguments are <code>name=value</code>: <code>brokers</code>, <code>id</code> (application id), <code>from</code> and
 * <code>to</code> (topics), <code>state</code> (a folder), and where wanted <code>progress</code> (a topic: do all that
 * Herald's detector does, see {@link Whole}; otherwise {@link Bare}), <code>threads</code> (1), <code>commit</code> (100, in
 * ms), <code>compression</code> (none) and <code>tuned=no</code> (batches and polls of the default size). It runs until it
 * is told to end.
 */
public final class Main {
    private Main() {}

    /** Runs until SIGTERM; an error ends it with status 1. */
    public static void main(String[] arguments) throws InterruptedException {
        var given = new Properties();
        for (var argument : arguments) {
            var parts = argument.split("=", 2);
            if (parts.length != 2) {
                throw new IllegalArgumentException("'" + argument + "' is not name=value");
            }
            given.setProperty(parts[0], parts[1]);
        }
        var streams = new KafkaStreams(topology(given), properties(given));
        var failed = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.ERROR) {
                failed.countDown();
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
        failed.await();
        Runtime.getRuntime().halt(1);
    }

    private static Topology topology(Properties given) {
        var bytes = Serdes.ByteArray();
        var topology = new Topology().addSource("raw", bytes.deserializer(), bytes.deserializer(), needed(given, "from"));
        if (given.containsKey("progress")) {
            topology.addProcessor("detector", () -> new Whole("events", "progress"), "raw")
                    .addStateStore(Whole.store(), "detector")
                    .addSink("progress", needed(given, "progress"), bytes.serializer(), bytes.serializer(), "detector");
        } else {
            topology.addProcessor("detector", Bare::new, "raw");
        }
        return topology.addSink("events", needed(given, "to"), bytes.serializer(), bytes.serializer(), "detector");
    }

    private static Properties properties(Properties given) {
        var all = new Properties();
        all.put(StreamsConfig.APPLICATION_ID_CONFIG, needed(given, "id"));
        all.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, needed(given, "brokers"));
        all.put(StreamsConfig.STATE_DIR_CONFIG, needed(given, "state"));
        all.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        all.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, given.getProperty("commit", "100"));
        all.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, given.getProperty("threads", "1"));
        // One broker is enough, and is what the comparison runs on.
        all.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
        all.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        if (given.getProperty("tuned", "yes").equals("no")) {
            return all;
        }
        // Larger batches and polls than the defaults: what one would tune first for throughput.
        all.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), "5000");
        all.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, "5000");
        all.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), Integer.toString(256 * 1024));
        all.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), "5");
        all.put(
                StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG),
                given.getProperty("compression", "none"));
        return all;
    }

    private static String needed(Properties given, String name) {
        var value = given.getProperty(name);
        if (value == null) {
            throw new IllegalArgumentException("'" + name + "=' is missing");
        }
        return value;
    }
}
