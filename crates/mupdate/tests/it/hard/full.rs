//! An etcd whose database is full.

use mupdate::daemon::Mode;
use serde_json::json;

use crate::{
    cluster::Cluster,
    world::{Node, at, name},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_etcd_refuses_changes_by_that_name_and_all_else_goes_on() {
    let Some(cluster) = Cluster::start(1, &["--quota-backend-bytes", "8388608"]).await else { return };
    let conf = format!("servername: a.example.org\netcd_endpoints: {}\n", cluster.endpoints());
    let address = format!("127.0.0.1:{}", test_host::port());
    let node = Node::start(Mode::Master, &address, tempfile::tempdir().unwrap(), &conf).await;
    let slave = Node::slave(&node, "").await;
    let mut client = node.client().await;
    client.reserve(&name("user.fred"), &at("be1!p")).await.unwrap();
    let much = "A".repeat(1024 * 1024);
    while cluster.ask("kv/put", json!({"key": "b3RoZXI=", "value": much})).await["error"].is_null() {}
    assert!(cluster.admin().is_full().await.unwrap());

    let error = client.reserve(&name("user.mary"), &at("be1!p")).await.unwrap_err();
    assert!(error.to_string().contains("etcd is full") && !error.is_final(), "{error}");
    assert!(client.find(&name("user.fred")).await.unwrap().is_some());
    assert!(client.find(&name("user.mary")).await.unwrap().is_none());
    slave.catches_up_with(&node).await;

    cluster.compact_to(cluster.ask("kv/range", json!({"key": "b3RoZXI="})).await).await;
    cluster.ask("maintenance/defragment", json!({})).await;
    let alarms = cluster.ask("maintenance/alarm", json!({"action": "GET"})).await;
    let member = alarms["alarms"][0]["memberID"].clone();
    let end = json!({"action": "DEACTIVATE", "alarm": "NOSPACE", "memberID": member});
    cluster.ask("maintenance/alarm", end).await;
    client.reserve(&name("user.mary"), &at("be1!p")).await.unwrap();
    slave.catches_up_with(&node).await;
}
