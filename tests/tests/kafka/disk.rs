//! A broker's disk that is full.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Arc,
};

use broker::Cluster;
use tempfile::TempDir;

use crate::pipeline::{Pipeline, blocking, build, long, report, turn};

/// What the disk holds: enough for what the test writes, if nothing else is there.
const SIZE: &str = "size=512m";

/// A disk of its own for one node, in memory; unmounted at the end.
struct Disk {
    folder: TempDir,
    mounted: PathBuf,
}

impl Disk {
    fn of_node(id: i32) -> Self {
        let folder = tempfile::Builder::new().prefix("herald-disk-").tempdir().unwrap();
        let mounted = folder.path().join(format!("node-{id}"));
        fs::create_dir(&mounted).unwrap();
        let disk = Self { folder, mounted };
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", SIZE, "herald-disk"]).arg(&disk.mounted).status().unwrap();
        assert!(status.success(), "mounting a disk in memory needs root: {status}");
        disk
    }

    /// Leaves no room: what is removed again by [`Self::empty`].
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let block = vec![1_u8; 64 * 1024];
        while ballast.write_all(&block).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.mounted.join("ballast")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Its node has ended: the cluster is dropped first. A test that failed is not to fail here, too.
        let status = Command::new("umount").arg(&self.mounted).status();
        if !status.as_ref().is_ok_and(ExitStatus::success) {
            report(&format!("{} stays mounted: {status:?}", self.mounted.display()));
        }
    }
}

/// A broker whose disk is full ends by itself; the others take over, and when there is room again it comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes and root: `just long` runs it"]
async fn a_node_of_three_runs_out_of_disk_and_nothing_is_lost_or_doubled() {
    let _turn = turn().await;
    let disk = Arc::new(Disk::of_node(1));
    let folder = disk.path().to_owned();
    let cluster = blocking(move || Cluster::of_three().data(folder).start().unwrap_or_else(|error| panic!("{error}")));
    let cluster = Arc::new(cluster.await);
    let pipeline = Pipeline::start(build(&cluster.bootstrap())).await;
    for _ in 0..if long() { 6 } else { 1 } {
        pipeline.goes_on().await;
        let full = disk.clone();
        blocking(move || full.fill()).await;
        pipeline
            .herald
            .wait_for("the node without room to end", async || (!cluster.node(1).is_running()).then_some(()))
            .await;
        pipeline.goes_on().await;
        let (empty, nodes) = (disk.clone(), cluster.clone());
        blocking(move || {
            empty.empty();
            nodes.node(1).start().unwrap();
        })
        .await;
    }
    pipeline.goes_on().await;
    pipeline.count("a disk that is full").await;
    drop(cluster);
}
