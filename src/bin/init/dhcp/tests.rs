use super::*;

const HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const TRANSACTION: u32 = 77;

fn client() -> Client {
    Client::new(HARDWARE, "yard", TRANSACTION, 1000)
}

/// An answer of the server to the client's present question.
fn answer(client: &Client, kind: Kind, lease_s: u32) -> Message {
    Message {
        transaction: client.transaction,
        hardware: HARDWARE,
        own: Some(ADDRESS),
        server: Some(SERVER),
        prefix: Some(24),
        gateway: Some(SERVER),
        lease_s: Some(lease_s),
        ..Message::new(kind)
    }
}

fn lease() -> Lease {
    Lease {
        address: ADDRESS,
        prefix: 24,
        gateway: Some(SERVER),
    }
}

/// A client that got a lease at 1000 ms.
fn bound(lease_s: u32) -> Client {
    let mut client = client();
    assert!(client.next(1000).0.is_some());
    assert_eq!(
        client.take(&answer(&client, Kind::Offer, lease_s), 1000),
        None
    );
    assert!(client.next(1000).0.is_some());
    let change = client.take(&answer(&client, Kind::Acknowledge, lease_s), 1000);
    assert_eq!(change, Some(Change::Leased(lease())));
    client
}

#[test]
fn an_offer_is_asked_for_and_taken() {
    let mut client = client();
    let (discover, _) = client.next(1000);
    assert_eq!(discover.unwrap().message.kind, Kind::Discover);
    assert_eq!(client.next(1000), (None, None), "once is enough");
    client.take(&answer(&client, Kind::Offer, 3600), 1200);
    let request = client.next(1200).0.unwrap();
    assert_eq!(request.message.kind, Kind::Request);
    assert_eq!(request.message.wanted, Some(ADDRESS));
    assert_eq!(request.message.server, Some(SERVER));
    assert_eq!((request.message.own, request.server), (None, None));
}

#[test]
fn without_an_answer_it_asks_ever_less_often_and_never_stops() {
    let mut client = client();
    let mut sent = Vec::new();
    for now_ms in (1000..400_000).step_by(10) {
        if let (Some(outgoing), change) = client.next(now_ms) {
            assert_eq!(outgoing.message.kind, Kind::Discover);
            assert_eq!(change, None);
            sent.push(now_ms);
        }
    }
    let pauses: Vec<u64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((750..=1260).contains(&pauses[0]), "{pauses:?}");
    assert!(pauses[1] > pauses[0] && pauses[2] > pauses[1], "{pauses:?}");
    let longest = *pauses.last().unwrap();
    assert!((24_000..=40_010).contains(&longest), "{pauses:?}");
}

#[test]
fn an_offer_that_is_not_confirmed_is_given_up() {
    let mut client = client();
    client.next(1000);
    client.take(&answer(&client, Kind::Offer, 3600), 1000);
    let mut kinds = Vec::new();
    for now_ms in (1000..60_000).step_by(10) {
        kinds.extend(client.next(now_ms).0.map(|outgoing| outgoing.message.kind));
        if kinds.last() == Some(&Kind::Discover) {
            break;
        }
    }
    assert_eq!(kinds.len(), REQUESTS_MAX as usize + 1);
    assert_eq!(kinds.last(), Some(&Kind::Discover));
}

#[test]
fn a_lease_is_renewed_at_half_its_time() {
    let mut client = bound(3600);
    assert_eq!(client.next(1_800_999), (None, None));
    let renewal = client.next(1_801_000).0.unwrap();
    assert_eq!(renewal.server, Some(SERVER));
    assert_eq!(renewal.message.own, Some(ADDRESS));
    assert_eq!(
        (renewal.message.wanted, renewal.message.server),
        (None, None)
    );
    let change = client.take(&answer(&client, Kind::Acknowledge, 3600), 1_801_500);
    assert_eq!(change, Some(Change::Leased(lease())));
    assert_eq!(client.next(1_801_000 + 1_799_999), (None, None));
    assert!(client.next(1_801_000 + 1_800_000).0.is_some());
}

#[test]
fn a_lease_counts_from_its_request() {
    let mut client = client();
    client.next(1000);
    client.take(&answer(&client, Kind::Offer, 3600), 1000);
    client.next(1000);
    client.take(&answer(&client, Kind::Acknowledge, 3600), 5000);
    assert_eq!(client.end_ms, Some(3_601_000));
    client.next(1_801_000);
    client.take(&answer(&client, Kind::Acknowledge, 3600), 1_809_000);
    assert_eq!(client.end_ms, Some(1_801_000 + 3_600_000));
}

#[test]
fn what_was_not_asked_for_renews_nothing() {
    let mut client = bound(3600);
    let late = answer(&client, Kind::Acknowledge, 7200);
    assert_eq!(client.take(&late, 900_000), None, "the first one again");
    let refusal = answer(&client, Kind::Refuse, 0);
    assert_eq!(client.take(&refusal, 900_000), None);
    assert_eq!(client.end_ms, Some(3_601_000));
    client.next(1_801_000);
    assert_eq!(client.take(&late, 1_801_100), None, "not of this renewal");
    let renewed = answer(&client, Kind::Acknowledge, 3600);
    assert!(client.take(&renewed, 1_801_200).is_some());
    assert_eq!(client.take(&renewed, 1_801_300), None, "once is enough");
}

#[test]
fn an_answer_to_another_request_is_passed_over() {
    let mut client = client();
    client.next(1000);
    client.take(&answer(&client, Kind::Offer, 3600), 1000);
    let early = answer(&client, Kind::Acknowledge, 3600);
    assert_eq!(client.take(&early, 1000), None, "nothing was asked yet");
    client.next(1000);
    let asked = client.phase;
    for kind in [Kind::Acknowledge, Kind::Refuse] {
        let mut other = answer(&client, kind, 3600);
        other.server = Some([10, 0, 2, 3].into());
        assert_eq!(client.take(&other, 1100), None);
        assert_eq!(client.phase, asked, "{kind:?} of another server");
    }
    let mut other = answer(&client, Kind::Acknowledge, 3600);
    other.own = Some([10, 0, 2, 16].into());
    assert_eq!(client.take(&other, 1100), None);
    assert_eq!(client.phase, asked, "another address");
    let mut refusal = answer(&client, Kind::Refuse, 0);
    (refusal.server, refusal.own) = (None, None);
    client.take(&refusal, 1100);
    assert_eq!(client.phase, Phase::Discovering);
}

#[test]
fn a_short_lease_ends_when_the_server_thinks_so() {
    let mut client = bound(20);
    assert_eq!(client.next(10_999), (None, None));
    assert!(client.next(11_000).0.unwrap().server.is_some());
    assert!(client.next(18_500).0.unwrap().server.is_none());
    assert_eq!(client.next(20_999).1, None);
    assert_eq!(client.next(21_000).1, Some(Change::Lost));
}

#[test]
fn tiny_leases_make_no_storm() {
    for lease_s in [0, 1, 4, 9, 12] {
        let mut client = bound(lease_s);
        let mut requests_ms = vec![1000];
        for now_ms in (1000..121_000).step_by(100) {
            let (outgoing, _) = client.next(now_ms);
            match outgoing.map(|outgoing| outgoing.message.kind) {
                Some(Kind::Discover) => {
                    client.take(&answer(&client, Kind::Offer, lease_s), now_ms);
                }
                Some(_) => {
                    requests_ms.push(now_ms);
                    client.take(&answer(&client, Kind::Acknowledge, lease_s), now_ms);
                }
                None => {}
            }
        }
        assert!(requests_ms.len() > 15, "{lease_s}: {requests_ms:?}");
        let mut pauses = requests_ms.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(
            pauses.all(|pause_ms| pause_ms >= 5000),
            "{lease_s}: {requests_ms:?}"
        );
    }
}

#[test]
fn a_lease_that_nobody_renews_is_asked_of_all_and_then_lost() {
    let mut client = bound(3600);
    let (mut to_server, mut to_all, mut lost_ms) = (0, 0, None);
    for now_ms in (1000..3_700_000).step_by(100) {
        let (outgoing, change) = client.next(now_ms);
        if change == Some(Change::Lost) {
            assert_eq!(outgoing.unwrap().message.kind, Kind::Discover);
            lost_ms = Some(now_ms);
            break;
        }
        match outgoing {
            Some(outgoing) if outgoing.server.is_some() => to_server += 1,
            Some(_) => {
                assert!(now_ms >= 1000 + 3_150_000, "7/8 of the time");
                to_all += 1;
            }
            None => {}
        }
    }
    assert_eq!(lost_ms, Some(3_601_000));
    assert!(
        (3..30).contains(&to_server) && (2..10).contains(&to_all),
        "{to_server} {to_all}"
    );
}

#[test]
fn a_refusal_takes_the_address_away() {
    let mut client = bound(3600);
    client.next(1_801_000);
    let refusal = answer(&client, Kind::Refuse, 0);
    assert_eq!(client.take(&refusal, 1_801_000), Some(Change::Lost));
    let outgoing = client.next(1_801_000).0.unwrap();
    assert_eq!(outgoing.message.kind, Kind::Discover);
}

#[test]
fn a_server_that_refuses_what_it_offers_is_not_asked_all_the_time() {
    let mut client = client();
    client.next(1000);
    client.take(&answer(&client, Kind::Offer, 3600), 1000);
    client.next(1000);
    client.take(&answer(&client, Kind::Refuse, 0), 1000);
    assert_eq!(client.next(1500), (None, None));
    assert!(client.next(2500).0.is_some());
}

#[test]
fn what_is_for_others_is_passed_over() {
    let mut client = client();
    client.next(1000);
    let mut other = answer(&client, Kind::Offer, 3600);
    other.transaction += 1;
    client.take(&other, 1000);
    let mut other = answer(&client, Kind::Offer, 3600);
    other.hardware[5] += 1;
    client.take(&other, 1000);
    client.take(&answer(&client, Kind::Acknowledge, 3600), 1000);
    assert_eq!(client.phase, Phase::Discovering);
}

#[test]
fn odd_times_of_a_lease_are_no_harm() {
    let endless = bound(FOREVER).next(u64::MAX - 1);
    assert_eq!(endless, (None, None));
    let mut client = client();
    client.next(1000);
    client.take(&answer(&client, Kind::Offer, 3600), 1000);
    client.next(1000);
    let mut odd = answer(&client, Kind::Acknowledge, 3600);
    (odd.renew_s, odd.rebind_s) = (Some(7200), Some(u32::MAX));
    client.take(&odd, 1000);
    assert_eq!(client.due_ms, 1_801_000);
    let mut brief = bound(40);
    brief.next(21_000);
    let mut odd = answer(&brief, Kind::Acknowledge, 40);
    (odd.renew_s, odd.rebind_s) = (Some(35), Some(10));
    brief.take(&odd, 21_000);
    assert_eq!(brief.due_ms, 31_000, "no later than all are asked");
}

#[test]
fn an_address_ends_with_its_lease_also_while_another_is_looked_for() {
    let mut client = bound(3600);
    client.restart(2000);
    assert_eq!(client.next(2000).1, None);
    assert_eq!(client.next(3_601_000).1, Some(Change::Lost));
    assert_eq!(client.next(9_000_000).1, None, "only once");
}
