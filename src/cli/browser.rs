//! Opens a browser in the session of whoever runs the command.
//!
//! Invariants:
//! - No shell: the address is one argument, the last.
//! - What came from a provider is opened only as a web address that a browser reads as we do.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;
use url::{Host, Url};

use super::{Context, Exit, Failure};

/// What desktops have.
const OPENER: &str = "xdg-open";
/// One that cannot open anything says so by then.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// Longer than any authorization URL.
const LONGEST: usize = 8 * 1024;

/// The command for a browser: what was said on the command line, what the configuration has, or the desktop's own where
/// there is a desktop.
pub(super) fn command(
    context: &Context,
    said: Option<&str>,
    configured: Option<Vec<String>>,
) -> Result<Option<Vec<String>>, Failure> {
    if let Some(said) = said {
        let argv = shlex::split(said).filter(|argv| !argv.is_empty());
        let bad = || {
            Failure::new(
                Exit::Usage,
                "usage",
                "`--browser` is a program with its arguments, quoted as for a shell",
            )
        };
        return Ok(Some(argv.ok_or_else(bad)?));
    }
    if !context.environment.has_display() {
        return Ok(None);
    }
    let configured = configured.filter(|argv| !argv.is_empty());
    Ok(Some(configured.unwrap_or_else(|| vec![OPENER.to_owned()])))
}

/// Opens an address. The browser lives on when the command ends.
///
/// # Errors
/// Why it was not opened.
pub(super) async fn open(argv: &[String], address: &str) -> Result<(), String> {
    check(address)?;
    let (program, arguments) = argv.split_first().ok_or("no browser is named")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_remove("JANUS_KEY")
        // ^C at this terminal is not meant for it.
        .process_group(0);
    let mut child = command
        .spawn()
        .map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    match timeout(FIRST_WORD, child.wait()).await {
        Ok(Ok(status)) if !status.success() => Err(format!("`{program}` failed: {status}")),
        _ => Ok(()),
    }
}

/// Whether a browser may be sent there: the daemon has checked it, and whatever answers on its socket is checked here.
fn check(address: &str) -> Result<(), &'static str> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\' || !c.is_ascii();
    if address.len() > LONGEST || address.contains(odd) {
        return Err("the address is no plain web address");
    }
    let url = Url::parse(address).map_err(|_| "the address is no web address")?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err("the address has no host"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address has a user in it");
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err("the address is not https"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_opened() {
        for good in [
            "https://as.example/authorize?a=b&c=%20d",
            "http://127.0.0.1:7332/login/abc234",
            "http://localhost:9/x",
            "http://[::1]:9/x",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:text/html,x",
            "http://as.example/authorize",
            "https://user@as.example/",
            "https://user:word@as.example/",
            "https://as.example/a b",
            "https://as.example/\na",
            "https://as.example\\@evil.example/",
            "https://аs.example/",
            "--new-window",
            "-version",
            "$(reboot)",
            "vscode://x/y",
            "https://",
            "",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check(&format!("https://as.example/{}", "a".repeat(LONGEST))).is_err());
    }

    #[tokio::test]
    async fn the_address_is_one_argument_and_no_shell_sees_it() {
        let home = tempfile::tempdir().unwrap();
        let seen = home.path().join("seen");
        let script = format!("printf '%s|' \"$@\" > {}", seen.display());
        let argv = ["sh", "-c", &script, "browser", "-P", "client a"].map(str::to_owned);
        let address = "https://as.example/?a=$(touch%20x)&b=`id`;c|d>e";
        open(&argv, address).await.unwrap();
        assert_eq!(
            std::fs::read_to_string(&seen).unwrap(),
            format!("-P|client a|{address}|")
        );
        open(&["false".to_owned()], address).await.unwrap_err();
        open(&["/nowhere/browser".to_owned()], address)
            .await
            .unwrap_err();
        std::fs::remove_file(&seen).unwrap();
        open(&argv, "file:///etc/passwd").await.unwrap_err();
        assert!(!seen.exists(), "nothing is started for it");
    }
}
