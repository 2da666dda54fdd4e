//! What a test leaves on a Kafka that goes on after it: nothing.

use super::Fleet;
use crate::Engine;

impl Fleet {
    /// Whether its broker is one that was given to us, and may be of use to others.
    fn is_guest(&self) -> bool {
        let given = std::env::var(broker::VARIABLE).unwrap_or_default();
        matches!(&self.given.engine, Engine::Kafka(bootstrap) if bootstrap == given.trim())
    }

    /// Deletes every topic of its prefix.
    async fn delete_topics(&self) -> Result<(), bus::Error> {
        let log = self.log();
        for info in log.bus().topics().await? {
            log.bus().delete(&info.topic).await?;
        }
        Ok(())
    }
}

impl Drop for Fleet {
    #[expect(clippy::print_stderr, reason = "shown when a test fails")]
    fn drop(&mut self) {
        self.members.clear();
        // What a test that failed has left may tell why.
        if std::thread::panicking() || !self.is_guest() {
            return;
        }
        // A test has a runtime already, in which nothing may block.
        let deleted = std::thread::scope(|scope| {
            let delete = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(self.delete_topics())
            };
            scope.spawn(delete).join()
        });
        if !matches!(deleted, Ok(Ok(()))) {
            eprintln!("the topics of {} are left on {}: {deleted:?}", self.prefix, broker::VARIABLE);
        }
    }
}
