//! Letters to people: through the configured mail server, or else to the operator's terminal.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor, message::Mailbox, message::header::ContentType,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::options::MailOptions;

/// A letter is tried this often, with growing pauses.
const ATTEMPTS_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);
const SEND_TIME_MAX: Duration = Duration::from_secs(30);

/// Where letters go, and the public address that links in them begin with.
#[derive(Clone, Default)]
pub struct Mail {
    server: Option<Server>,
    public_url: String,
}

#[derive(Clone)]
struct Server {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// One letter with the one link it is about, if it is about one.
pub(crate) struct Letter {
    to: String,
    subject: &'static str,
    text: String,
    link: String,
}

impl Letter {
    pub(crate) fn invitation(to: &str, link: &str) -> Self {
        let text = format!(
            "You are invited to Portolan.\n\nOpen this link within a week to join:\n{link}\n\n\
             If you did not expect this, ignore it.\n"
        );
        Self { to: to.to_owned(), subject: "You are invited to Portolan", text, link: link.to_owned() }
    }

    pub(crate) fn password_reset(to: &str, link: &str) -> Self {
        let text = format!(
            "Somebody asked for a new password for this address.\n\nOpen this link within two hours to choose one:\n\
             {link}\n\nIf it was not you, ignore this letter: nothing changes.\n"
        );
        Self { to: to.to_owned(), subject: "A new password for Portolan", text, link: link.to_owned() }
    }
}

impl Letter {
    /// Without a link: nobody has to hand anything over.
    pub(crate) fn keys_left(to: &str, keys: &[String]) -> Self {
        let text = format!(
            "Your password for Portolan was changed, and every session of yours has ended.\n\nThese API keys go on \
             working:\n{}\n\nIf somebody else may know them, delete them, or choose a password again and have them \
             deleted with it.\n",
            keys.join("\n")
        );
        Self { to: to.to_owned(), subject: "Your password for Portolan was changed", text, link: String::new() }
    }
}

impl Mail {
    /// # Errors
    /// The key that cannot be used.
    pub fn open(options: &MailOptions) -> Result<Self, String> {
        let MailOptions { smtp_url: url, from, public_url } = options;
        let public_url = public_url.trim_end_matches('/').to_owned();
        if url.is_empty() {
            return Ok(Self { server: None, public_url });
        }
        // The error is left out: it may repeat the URL, which holds a password.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| "mail.smtp_url must be smtp://… or smtps://…".to_owned())?;
        let from = from.parse().map_err(|error| format!("mail.from: {error}"))?;
        let transport = builder.timeout(Some(SEND_TIME_MAX)).build();
        Ok(Self { server: Some(Server { transport, from }), public_url })
    }

    /// A link for people: below the public address of the installation, or where that is not configured below the
    /// origin that a caller named, or else a path.
    pub(crate) fn link(&self, fallback_origin: &str, path: &str) -> String {
        if !self.public_url.is_empty() {
            return format!("{}{path}", self.public_url);
        }
        let origin = url::Url::parse(fallback_origin).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
        origin.map_or_else(|| path.to_owned(), |url| format!("{}{path}", url.origin().ascii_serialization()))
    }

    /// Whether an absolute URL has the origin of the installation's public address.
    pub(crate) fn is_own(&self, url: &str) -> bool {
        let origin = |text: &str| url::Url::parse(text).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
        origin(&self.public_url).is_some_and(|own| origin(url).is_some_and(|other| other == own))
    }

    /// The address that links begin with; empty when none is configured.
    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Sends in the background: nobody waits for a mail server, and no answer tells by its time whether one was asked.
    pub(crate) fn send(&self, letter: Letter) {
        let Some(server) = self.server.clone() else {
            if letter.link.is_empty() {
                return;
            }
            // The operator's terminal stands in for the mail server; nothing of this goes into the structured log.
            eprintln!("no mail server is configured; hand this link over: {}", letter.link);
            return;
        };
        tokio::spawn(async move {
            for attempt in 1..=ATTEMPTS_MAX {
                match deliver(&server, &letter).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, attempt, "a letter was not taken by the mail server"),
                }
                tokio::time::sleep(PAUSE * attempt).await;
            }
        });
    }
}

async fn deliver(server: &Server, letter: &Letter) -> Result<(), String> {
    let to: Mailbox = letter.to.parse().map_err(|_| "the address is not valid".to_owned())?;
    let message = Message::builder()
        .from(server.from.clone())
        .to(to)
        .subject(letter.subject)
        .header(ContentType::TEXT_PLAIN)
        .body(letter.text.clone())
        .map_err(|error| error.to_string())?;
    server.transport.send(message).await.map(drop).map_err(|error| error.to_string())
}

/// A value in a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_begin_at_a_known_place() {
        let mail = Mail { server: None, public_url: "https://portolan.example".into() };
        assert_eq!(mail.link("https://evil.example", "/signup?x=1"), "https://portolan.example/signup?x=1");
        let mail = Mail::default();
        assert_eq!(mail.link("https://app.example/path?q", "/signup"), "https://app.example/signup");
        assert_eq!(mail.link("javascript:alert(1)", "/signup"), "/signup");
        assert_eq!(mail.link("", "/signup"), "/signup");
    }
}
