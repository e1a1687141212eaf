//! What a test does to the authorization server, and what it sees of it.

use std::time::Duration;

use serde_json::Value;

use super::{
    Answer, Asked, AuthorizationServer, Behaviour, ClientRecord, Endpoint, Hold, Outage, Person,
    Proof, follow, grants,
};
use crate::support::http::within;

impl AuthorizationServer {
    /// Changes how it behaves.
    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }

    /// Who says yes from now on.
    pub(crate) fn log_in_as(&self, name: &str) {
        self.behave(|behaviour| behaviour.person = Person::of(name));
    }

    /// A client that a person registered.
    pub(crate) fn preregister(&self, id: &str, proof: Proof, redirect_uris: &[&str]) {
        let client = ClientRecord {
            id: id.to_owned(),
            proof,
            redirect_uris: redirect_uris.iter().map(|&uri| uri.to_owned()).collect(),
            secret_ends: None,
            management: None,
            dynamic: false,
            grants: None,
        };
        self.state().clients.insert(id.to_owned(), client);
    }

    /// A client metadata document, as if it had been read at its URL.
    pub(crate) fn metadata_document(&self, url: &str, document: Value) {
        self.state().documents.insert(url.to_owned(), document);
    }

    /// The clients that it knows.
    pub(crate) fn clients(&self) -> Vec<ClientRecord> {
        self.state().clients.values().cloned().collect()
    }

    /// Knows no client any more.
    pub(crate) fn forget_clients(&self) {
        self.state().clients.clear();
    }

    // ---- what becomes of requests ----

    /// What becomes of the next token request that has no answer yet.
    pub(crate) fn next_token_response(&self, answer: Answer) {
        self.next_answer(Endpoint::Token, answer);
    }

    /// What becomes of the next request to an endpoint that has no answer yet.
    pub(crate) fn next_answer(&self, endpoint: Endpoint, answer: Answer) {
        let mut state = self.state();
        state.next.entry(endpoint).or_default().push_back(answer);
    }

    /// What becomes of every request to an endpoint; `None`: they are as usual again.
    pub(crate) fn always(&self, endpoint: Endpoint, answer: Option<Answer>) {
        let mut state = self.state();
        match answer {
            Some(answer) => drop(state.always.insert(endpoint, answer)),
            None => drop(state.always.remove(&endpoint)),
        }
    }

    /// Requests to an endpoint wait from now on, until [`Self::release`].
    pub(crate) fn hold(&self, endpoint: Endpoint, when: Hold) {
        self.shared.holds.send_modify(|holds| {
            holds.insert(endpoint, when);
        });
    }

    /// Those that wait go on, and no more wait.
    pub(crate) fn release(&self, endpoint: Endpoint) {
        self.shared.holds.send_modify(|holds| {
            holds.remove(&endpoint);
        });
    }

    /// How the whole server is away from now on.
    pub(crate) fn outage(&self, outage: Outage) {
        self.shared.outage.send_replace(outage);
    }

    // ---- time and tokens ----

    /// Moves the server's clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.state().ahead += by;
    }

    /// Every access token ends.
    pub(crate) fn expire_all(&self) {
        self.state()
            .families
            .all()
            .for_each(grants::Family::end_access);
    }

    /// Every grant ends: a refresh is `invalid_grant`, and no access token is good.
    pub(crate) fn revoke_all(&self) {
        for family in self.state().families.all() {
            family.alive = false;
        }
    }

    /// Whose access token this is, if it is good now.
    pub(crate) fn owner(&self, token: &str) -> Option<Person> {
        let state = self.state();
        let family = state.families.valid(token, state.now());
        family.map(|family| family.person.clone())
    }

    // ---- the device flow ----

    /// The user codes that wait for a person.
    pub(crate) fn user_codes(&self) -> Vec<String> {
        let state = self.state();
        let waiting = state.devices.values();
        let waiting = waiting.filter(|device| device.decision.is_none());
        waiting.map(|device| device.user_code.clone()).collect()
    }

    /// A person types the code, and says yes as whoever logs in now, or no with an error.
    pub(crate) fn decide(&self, user_code: &str, refused: Option<&'static str>) {
        let mut state = self.state();
        let person = state.behaviour.person.clone();
        let mut devices = state.devices.values_mut();
        let device = devices.find(|device| device.user_code == user_code);
        let device = device.unwrap_or_else(|| panic!("no device shows {user_code}"));
        device.decision = Some(refused.map_or(Ok(person), Err));
    }

    // ---- what it saw ----

    /// The last requests to it, at most five thousand.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.state().requests.iter().cloned().collect()
    }

    /// Those to one endpoint.
    pub(crate) fn requests_to(&self, endpoint: Endpoint) -> Vec<Asked> {
        let mut requests = self.requests();
        requests.retain(|asked| asked.endpoint == endpoint);
        requests
    }

    /// Forgets them.
    pub(crate) fn forget_requests(&self) {
        self.state().requests.clear();
    }

    /// How many requests came to an endpoint.
    pub(crate) fn count(&self, endpoint: Endpoint) -> usize {
        self.shared
            .came
            .borrow()
            .get(&endpoint)
            .map_or(0, |(all, _)| *all)
    }

    /// How many requests came to all of them.
    pub(crate) fn count_all(&self) -> usize {
        self.shared.came.borrow().values().map(|(all, _)| all).sum()
    }

    /// Waits until so many requests have come to an endpoint since the start.
    pub(crate) async fn came(&self, endpoint: Endpoint, count: usize) {
        let mut came = self.shared.came.subscribe();
        let enough =
            came.wait_for(|came| came.get(&endpoint).is_some_and(|(all, _)| *all >= count));
        drop(within("a request", enough).await);
    }

    /// Waits until so many requests to an endpoint are held.
    pub(crate) async fn held(&self, endpoint: Endpoint, count: usize) {
        let mut came = self.shared.came.subscribe();
        let enough =
            came.wait_for(|came| came.get(&endpoint).is_some_and(|(_, held)| *held >= count));
        drop(within("a request that waits", enough).await);
    }

    /// How many refreshes succeeded, as the server sees it.
    pub(crate) fn refreshes(&self) -> usize {
        self.state().refreshes
    }

    /// How often a refresh token came that had been used, and a grant ended of it.
    pub(crate) fn reuse(&self) -> usize {
        self.state().families.reuse
    }

    /// How often that was forgiven.
    pub(crate) fn forgiven(&self) -> usize {
        self.state().families.forgiven
    }

    /// The tokens that were revoked by their client.
    pub(crate) fn revoked(&self) -> Vec<String> {
        self.state().revoked.clone()
    }

    /// What a correct client never sends.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    // ---- the browser ----

    /// Acts as a browser with somebody in front of it: opens the URL and gives the address it is sent to.
    pub(crate) async fn follow(&self, url: &str) -> String {
        follow(url).await
    }
}
