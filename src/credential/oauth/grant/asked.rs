//! Whom a provider takes an account for, asked with the token that it has now: for a person who wants to know.

use super::Grant;
use crate::credential::oauth::granted::Identity;
use crate::credential::oauth::identity::{self, NotTold};
use crate::credential::oauth::seam::Way;
use crate::model::Whoami;

impl Grant {
    /// Asks the URL of `auth.oauth.whoami`, once.
    ///
    /// # Errors
    /// Why nobody knows.
    pub async fn asked_at(&self, url: &str, whoami: &Whoami) -> Result<Identity, String> {
        let token = self.token().await.map_err(|why| why.to_string())?;
        let token = token.ok_or_else(|| "nobody is logged in".to_owned())?;
        let way = Way {
            network: self.engine.network.clone(),
            policy: self.policy(),
        };
        let told = identity::at(&way, url, &token, whoami).await;
        told.map_err(|(NotTold::Passing(why) | NotTold::Never(why))| why)
    }
}
