//! The page of a login: whose it is, where it leads, one button; afterwards what came of it.
//!
//! Invariant: only a form of this very page leads on. Its request has our Origin and the login's own token, which no
//! other page can read.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{ALLOW, LOCATION, ORIGIN};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::html::{Referrer, page, row, text};
use crate::account::login::{Pending, Progress};
use crate::downstream::Downstream;
use crate::downstream::reply::Reply;
use crate::model::AccountId;
use crate::telemetry::redact;

/// Where the pages are.
pub(in crate::downstream) const PREFIX: &str = "/login/";
/// One field.
const LONGEST: usize = 4096;
/// A form of a page on this machine.
const READ: Duration = Duration::from_secs(5);
/// What the form's field is called.
const FIELD: &str = "token=";

impl Downstream {
    /// Serves the page of a login. Host, Origin and the user were looked at.
    pub(in crate::downstream) async fn login_page(
        &self,
        request: Request<Incoming>,
    ) -> Response<Reply> {
        let id = request.uri().path().strip_prefix(PREFIX).map(str::to_owned);
        let id = id.unwrap_or_default();
        let known = self.logins.page(&id).zip(self.logins.account_of(&id));
        let Some(((pending, token, progress), account)) = known else {
            return said(
                StatusCode::NOT_FOUND,
                "No such login",
                "<p>It is over, or there never was one. Begin again: <code>janus login</code></p>",
            );
        };
        match *request.method() {
            Method::GET => self.shown(&account, pending.as_ref(), &token, &progress),
            Method::POST => {
                // Browsers send it with every form; who sends none is no browser, and has no page to click on.
                let ours = request.headers().contains_key(ORIGIN)
                    && field(request).await.is_some_and(|given| given == token);
                match (ours, pending, progress) {
                    (false, ..) => said(
                        StatusCode::FORBIDDEN,
                        "Refused",
                        "<p>This did not come from the page of the login. Open that, and click there.</p>",
                    ),
                    (true, Some(pending), Progress::Waiting) => onwards(&pending),
                    (true, ..) => said(
                        StatusCode::CONFLICT,
                        "Too late",
                        "<p>This login waits for nobody any more.</p>",
                    ),
                }
            }
            _ => {
                let mut refused = said(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "Nothing is done here",
                    "<p>Open the page, and click there.</p>",
                );
                let headers = refused.headers_mut();
                headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
                refused
            }
        }
    }

    fn shown(
        &self,
        account: &AccountId,
        pending: Option<&Pending>,
        token: &str,
        progress: &Progress,
    ) -> Response<Reply> {
        let ok = StatusCode::OK;
        match (progress, pending) {
            (Progress::Waiting, Some(pending)) => {
                let body = self.question(pending, token);
                said(
                    ok,
                    &format!("Log in to {}", text(account.server().as_str())),
                    &body,
                )
            }
            (Progress::Preparing | Progress::Waiting, _) => said(
                ok,
                "One moment",
                "<p>Janus asks the provider where to log in. Load this page again.</p>",
            ),
            (Progress::Finishing, _) => said(
                ok,
                "Almost done",
                "<p>Janus is finishing the login. Load this page again.</p>",
            ),
            (Progress::LoggedIn(logged_in), _) => {
                let mut body = String::from("<dl>");
                row(&mut body, "Account", &self.named(account));
                let who = logged_in
                    .verified_as
                    .as_ref()
                    .map(|who| text(&who.to_string()));
                let unverified = "unverified: the server does not say who that is";
                row(
                    &mut body,
                    "Logged in as",
                    who.as_deref().unwrap_or(unverified),
                );
                body.push_str("</dl><p>You can close this window.</p>");
                said(ok, "Logged in", &body)
            }
            (Progress::NotLoggedIn(why), _) => {
                let mut body = String::from("<dl>");
                row(&mut body, "Account", &self.named(account));
                row(&mut body, "Reason", &text(&redact(&why.to_string())));
                body.push_str("</dl>");
                for help in why.help(account) {
                    // Writing to a string does not fail.
                    write!(body, "<p>{}</p>", text(&help)).ok();
                }
                said(ok, "Not logged in", &body)
            }
        }
    }

    /// What a person must know before going on, and the button.
    fn question(&self, pending: &Pending, token: &str) -> String {
        let mut body = String::from("<dl>");
        row(&mut body, "Account", &self.named(&pending.account));
        if let Some(expected) = &pending.expected {
            row(
                &mut body,
                "Log in there as",
                &format!("<strong>{}</strong>", text(expected)),
            );
        }
        row(
            &mut body,
            "At",
            &format!("<strong>{}</strong>", text(&pending.host)),
        );
        if !pending.scopes.is_empty() {
            row(&mut body, "It will be asked for", &scopes(pending));
        }
        if let Some((code, place)) = &pending.device {
            row(
                &mut body,
                "Type this code there",
                &format!("<code>{}</code>", text(code)),
            );
            row(&mut body, "Or on any device at", &text(place));
        }
        let minutes = pending.left.as_secs().div_ceil(60);
        row(&mut body, "Good for", &format!("{minutes} min"));
        body.push_str("</dl>");
        if let Some((now, before)) = &pending.moved {
            // Writing to a string does not fail.
            write!(
                body,
                "<p class=\"warn\">The server has another authorization server now: {}, before it was {}. Go on only if \
                 you know why.</p>",
                text(now),
                text(before),
            )
            .ok();
        }
        if pending.foreign {
            body.push_str(
                "<p class=\"warn\">This host is neither the server's nor that of its authorization server. Go on only if \
                 you know it.</p>",
            );
        }
        // Writing to a string does not fail.
        write!(
            body,
            "<form method=\"post\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
             <button>Continue to {}</button></form>\
             <p>If you are signed in there as somebody else: open this page in a private window.</p>",
            text(token),
            text(&pending.host),
        )
        .ok();
        body
    }

    /// An account with its label.
    fn named(&self, account: &AccountId) -> String {
        let labels = self.gateway.labels();
        let labelled = labels
            .get(account.server())
            .and_then(|server| server.account(account.account()))
            .and_then(|account| account.label.as_deref());
        match labelled {
            Some(label) => format!("<strong>{account}</strong> ({})", text(label)),
            None => format!("<strong>{account}</strong>"),
        }
    }
}

/// What is asked for, with what is new.
fn scopes(pending: &Pending) -> String {
    let scope = |scope: &String| {
        if pending.again && pending.new_scopes.contains(scope) {
            format!("<span class=\"new\">{} (new)</span>", text(scope))
        } else {
            text(scope)
        }
    };
    let scopes: Vec<String> = pending.scopes.iter().map(scope).collect();
    scopes.join(", ")
}

/// To the provider.
fn onwards(pending: &Pending) -> Response<Reply> {
    let place = pending
        .device
        .as_ref()
        .map_or(&pending.url, |(_, place)| place);
    let Ok(location) = HeaderValue::from_str(place) else {
        return said(
            StatusCode::BAD_GATEWAY,
            "No way on",
            "<p>The provider's address cannot be opened.</p>",
        );
    };
    let mut response = page(StatusCode::SEE_OTHER, "Go on", "", Referrer::Never);
    response.headers_mut().insert(LOCATION, location);
    response
}

/// The one field of the form. Its value needs no decoding: it is of our making.
async fn field(request: Request<Incoming>) -> Option<String> {
    let read = Limited::new(request.into_body(), LONGEST).collect();
    let body = tokio::time::timeout(READ, read)
        .await
        .ok()?
        .ok()?
        .to_bytes();
    let body = std::str::from_utf8(&body).ok()?;
    body.strip_prefix(FIELD).map(str::to_owned)
}

fn said(status: StatusCode, title: &str, body: &str) -> Response<Reply> {
    page(status, title, body, Referrer::Ourselves)
}
