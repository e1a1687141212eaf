//! Bytes in a record, for `#[serde(with)]`: in base64, a third longer than they are, where a list of numbers would be four
//! times as long.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

/// Writes them.
///
/// # Errors
/// The writer's.
pub fn serialize<S: Serializer>(bytes: &[u8], writer: S) -> Result<S::Ok, S::Error> {
    STANDARD_NO_PAD.encode(bytes).serialize(writer)
}

/// Reads them.
///
/// # Errors
/// The reader's, or it is not base64.
pub fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(reader)?;
    STANDARD_NO_PAD.decode(text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Record(#[serde(with = "super")] Vec<u8>);

    #[test]
    fn every_byte_comes_back_and_takes_a_third_more() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(30_000).collect();
        let text = serde_json::to_string(&Record(bytes.clone())).unwrap();
        assert!(text.len() < 40_100, "{}", text.len());
        let record: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(record.0, bytes);
        assert!(serde_json::from_str::<Record>("\"?\"").is_err());
    }
}
