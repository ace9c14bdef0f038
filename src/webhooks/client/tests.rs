//! The client against a receiver that misbehaves: redirects, silence, floods, addresses inside.

use super::receiver::{Act, Receiver};
use super::*;

fn client(change: impl FnOnce(&mut ClientConfig)) -> HttpClient {
    let mut config = ClientConfig {
        connect_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(15),
        idle_timeout: Duration::from_secs(4),
        reply_bytes_max: 8 * 1024,
        addresses: AddressRules::new(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]),
    };
    change(&mut config);
    HttpClient::new(&config)
}

fn post(url: &str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(b"{}")).unwrap()
}

fn ok() -> Act {
    Act::Answer(200, vec![], Bytes::from_static(b"fine"))
}

#[tokio::test]
async fn a_private_address_is_refused_until_it_is_allowed() {
    let receiver = Receiver::start(ok()).await;
    let closed = client(|config| config.addresses = AddressRules::default());
    let port = receiver.address.port();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let refused = closed.call(post(&format!("http://{host}:{port}/"))).await.unwrap_err();
        assert!(matches!(refused, CallError::Refused(_)), "{host}: {refused}");
    }
    assert!(receiver.received.lock().is_empty());

    let open = client(|_| {});
    for host in ["127.0.0.1", "localhost"] {
        let reply = open.call(post(&format!("http://{host}:{port}/hook?a=b"))).await.unwrap();
        assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"fine"[..]));
    }
    let received = receiver.received.lock();
    assert_eq!(received[1].headers["host"], format!("localhost:{port}").as_str(), "the name stays the URL's");
    assert_eq!(received[1].uri, "/hook?a=b");
}

#[tokio::test]
async fn a_name_without_a_server_did_not_send() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = client(|_| {}).call(post(&format!("http://{free}/"))).await.unwrap_err();
    assert!(matches!(&error, CallError::Connect(why) if why.contains("refused")), "{error}");
    let error = client(|_| {}).call(post("http://no-such-name.invalid/")).await.unwrap_err();
    assert!(matches!(error, CallError::Connect(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_never_speaks_tls_did_not_get_the_request() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(|config| config.connect_timeout = Duration::from_millis(50));
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let error = client.call(post(&url)).await.unwrap_err();
    assert!(matches!(&error, CallError::Connect(why) if why.contains("50ms")), "{error}");
}

#[tokio::test]
async fn a_connection_closed_after_the_request_leaves_doubt() {
    let receiver = Receiver::start(Act::Close).await;
    let error = client(|_| {}).call(post(&receiver.url())).await.unwrap_err();
    assert!(matches!(error, CallError::Lost(_)), "{error}");
    assert_eq!(receiver.received.lock().len(), 1, "and it is not sent again by itself");
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_leaves_doubt() {
    let receiver = Receiver::start(Act::Hang).await;
    let client = client(|config| config.total_timeout = Duration::from_millis(500));
    let error = client.call(post(&receiver.url())).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 500ms");
    assert!(matches!(error, CallError::Lost(_)));
}

#[tokio::test]
async fn a_body_that_stalls_does_not_take_back_the_status() {
    let receiver = Receiver::start(Act::Stall).await;
    let client = client(|config| config.total_timeout = Duration::from_millis(500));
    let reply = client.call(post(&receiver.url())).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"begin"[..]));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Receiver::start(ok()).await;
    let location: &'static str = Box::leak(target.url().into_boxed_str());
    for status in [301, 302, 303, 307, 308] {
        let receiver = Receiver::start(Act::Answer(status, vec![("location", location)], Bytes::new())).await;
        let reply = client(|_| {}).call(post(&receiver.url())).await.unwrap();
        assert_eq!(reply.status.as_u16(), status);
    }
    assert!(target.received.lock().is_empty());
}

#[tokio::test]
async fn a_big_reply_is_cut_and_its_connection_dropped() {
    let receiver = Receiver::start(Act::Answer(200, vec![], Bytes::from(vec![b'x'; 1 << 20]))).await;
    let client = client(|_| {});
    let reply = client.call(post(&receiver.url())).await.unwrap();
    assert_eq!(reply.body.len(), 8 * 1024);
    *receiver.act.lock() = ok();
    client.call(post(&receiver.url())).await.unwrap();
    let connections: Vec<usize> = receiver.received.lock().iter().map(|one| one.connection).collect();
    assert_eq!(connections, [0, 1]);
}
