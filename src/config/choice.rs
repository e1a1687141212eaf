//! Values that are one of a few words.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::Node;
use super::oauth::Journal;
use super::problem::{Mistake, Path};
use super::read::{Read, Reader};
use super::template::{Encoding, Ports, Registration, Spot, Verified};
use super::value::inline_schema;
use crate::model::{
    ClientAuthentication, Colour, EraChoice, Format, GrantKind, KeySource, RedirectHost,
    RegistrationScope, Sharing, SigningAlgorithm, Switching, Transport,
};

/// A type of the model that is one of a few words: its reader, its schema, and the word for a value.
macro_rules! choices {
    ($($type:ident { $($word:literal => $variant:ident,)+ })+) => {$(
        impl Read for $type {
            fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
                reader.choice(node, path, &[$(($word, Self::$variant)),+])
            }
        }

        inline_schema!($type, stringify!($type), { "type": "string", "enum": [$($word),+] });

        impl Word for $type {
            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    )+};
}

/// How the file writes a value.
pub(super) trait Word {
    fn word(self) -> &'static str;
}

choices! {
    Sharing {
        "auto" => Auto,
        "shared" => Shared,
        "per-session" => PerSession,
    }
    EraChoice {
        "auto" => Auto,
        "legacy" => Legacy,
        "modern" => Modern,
    }
    Transport {
        "auto" => Auto,
        "streamable_http" => StreamableHttp,
        "sse" => Sse,
    }
    Format {
        "auto" => Auto,
        "raw" => Raw,
        "jwt" => Jwt,
        "execcredential" => ExecCredential,
        "oauth" => OAuth,
        "az" => Az,
        "aws" => Aws,
        "git" => Git,
        "docker" => Docker,
        "json" => Json,
    }
    KeySource {
        "auto" => Auto,
        "credential" => Credential,
        "secret-service" => SecretService,
        "file" => File,
    }
    GrantKind {
        "authorization_code" => AuthorizationCode,
        "client_credentials" => ClientCredentials,
        "device_code" => DeviceCode,
    }
    SigningAlgorithm {
        "RS256" => Rs256,
        "RS384" => Rs384,
        "RS512" => Rs512,
        "ES256" => Es256,
        "ES384" => Es384,
    }
    ClientAuthentication {
        "none" => None,
        "client_secret_basic" => SecretBasic,
        "client_secret_post" => SecretPost,
        "private_key_jwt" => PrivateKeyJwt,
    }
    RegistrationScope {
        "account" => Account,
        "server" => Server,
    }
    RedirectHost {
        "127.0.0.1" => Address,
        "localhost" => Localhost,
    }
    Spot {
        "host" => Host,
        "path" => Path,
        "suffix" => Suffix,
        "query" => Query,
        "argument" => Argument,
    }
    Registration {
        "preregistered" => PreRegistered,
        "cimd" => Document,
        "dcr" => Dynamic,
        "none" => None,
    }
    Ports {
        "fixed" => Fixed,
        "ephemeral" => Ephemeral,
    }
    Encoding {
        "plain" => Plain,
        "basic-email-token" => Basic,
    }
    Verified {
        "reported" => Reported,
        "tested" => Tested,
        "built-in" => BuiltIn,
    }
    Journal {
        "full" => Full,
        "local" => Local,
    }
    Colour {
        "red" => Red,
        "yellow" => Yellow,
        "green" => Green,
        "blue" => Blue,
        "magenta" => Magenta,
        "cyan" => Cyan,
    }
}

impl Read for Switching {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        // Other dialects of YAML take `off` for a boolean, so people write one.
        let help = match node.plain() {
            Some("false" | "False" | "FALSE") => "write `off`, which is a word here",
            Some("true" | "True" | "TRUE") => "write `session` or `global`",
            _ => {
                let words = [Self::Off, Self::Session, Self::Global].map(|one| (one.word(), one));
                return reader.choice(node, path, &words);
            }
        };
        let mistake = Mistake::wrong_type("`off`, `session` or `global`", "a boolean");
        reader
            .problems
            .add_with_help(&path.at(node.at), mistake, help);
        None
    }
}
inline_schema!(Switching, "Switching", { "type": "string", "enum": ["off", "session", "global"] });
