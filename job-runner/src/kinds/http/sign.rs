//! Signatures as Standard Webhooks has them: <https://github.com/standard-webhooks/standard-webhooks>, *symmetric*.
//!
//! `webhook-signature` is `v1,` and the HMAC-SHA-256 of `<id>.<timestamp>.<body>`, once for each key, so that a receiver may
//! have the old key or the new one.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a key's text may begin with.
const PREFIX: &str = "whsec_";
/// Base64 with or without the padding at its end.
const KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The signature by a key, `None` if that is none.
pub(super) fn signature(id: &str, timestamp: u64, body: &[u8], key: &str) -> Option<String> {
    let key = KEY.decode(key.strip_prefix(PREFIX).unwrap_or(key)).ok().filter(|key| !key.is_empty())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the reference libraries (`test_sign_function` of the one in Python).
    #[test]
    fn a_signature_is_that_of_the_reference_libraries() {
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        let told = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        for key in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(signature(id, 1_614_265_330, body, key).as_deref(), Some(told));
        }
        assert_eq!(signature(id, 1, body, "whsec_not base64"), None);
        assert_eq!(signature(id, 1, body, "whsec_"), None);
        assert!(signature(id, 1, body, "whsec_QUI").is_some() && signature(id, 1, body, "QUI=").is_some());
    }
}
