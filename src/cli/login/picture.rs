//! A link as a picture that the camera of another device reads (ISO/IEC 18004), two modules in each character.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The picture, for a terminal that writes brightly on dark, as most do; cameras read the opposite as well. `None` for a
/// text that is too long for one.
pub(super) fn picture(link: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(link, EcLevel::L).ok()?;
    let mut drawn = code.render::<Dense1x2>();
    drawn
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark);
    Some(drawn.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_square_with_its_three_corners() {
        let drawn = picture("https://idp.example/device?user_code=WDJB-MJHT").unwrap();
        let rows: Vec<Vec<char>> = drawn.lines().map(|row| row.chars().collect()).collect();
        let width = rows[0].len();
        assert!(rows.iter().all(|row| row.len() == width));
        assert_eq!(rows.len(), width.div_ceil(2));
        // The first module row of a corner: seven dark ones in a bright border, which four modules wide surrounds it all.
        let corner: String = rows[2][4..11].iter().collect();
        assert_eq!(corner, " ▄▄▄▄▄ ");
        let other: String = rows[2][width - 11..width - 4].iter().collect();
        assert_eq!(other, corner);
        assert!(rows[0].iter().all(|module| *module == '█'));
    }

    #[test]
    fn what_is_too_long_has_none() {
        assert!(picture(&"x".repeat(4000)).is_none());
    }
}
