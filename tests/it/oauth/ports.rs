//! The port to which browsers come back: chosen once for an installation.

use super::rig::{Rig, begun};
use crate::support::authorization::{Behaviour, Endpoint, Protection, land};
use crate::support::until_bound;

/// The first that Janus looks at.
const FIRST: &str = "127.0.0.1:7334";

/// Where the browser of a login that waits comes back to, and the page that sends it there.
fn waiting(rig: &Rig) -> (String, String) {
    let left = begun(&rig.janus);
    let text = |member: &str| left[member].as_str().unwrap().to_owned();
    (text("redirect_uri"), text("url"))
}

#[tokio::test]
async fn the_port_stays_though_the_first_is_free_again_after_a_start() {
    let first = until_bound(FIRST).await;
    let rig = Rig::start(Behaviour::default(), Protection::default(), "auth: oauth").await;
    let (chosen, page) = waiting(&rig);
    assert!(!chosen.contains(FIRST), "{chosen}");
    let (status, said) = land(&rig.authority.follow(&page).await).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(rig.authority.count(Endpoint::Register), 1);
    let rig = rig.restarted();
    drop(first);
    // Whoever else took it meanwhile goes first.
    let own = url::Url::parse(&chosen).unwrap().port().unwrap();
    drop(until_bound(&format!("127.0.0.1:{own}")).await);
    let (again, page) = waiting(&rig);
    assert_eq!(again, chosen);
    assert_eq!(
        rig.authority.count(Endpoint::Register),
        1,
        "the same client"
    );
    let (status, said) = land(&rig.authority.follow(&page).await).await;
    assert_eq!(status, 200, "{said}");
    rig.assert_clean();
}
