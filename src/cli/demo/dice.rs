//! `dice`: a server over Streamable HTTP. With a seed the dice fall the same way each time.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};

/// More dice than this are no game.
const MOST_DICE: u32 = 100;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dice;

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Roll {
    /// How many dice, at most 100; one if it is left out.
    count: Option<u32>,
    /// How many sides each has; six if it is left out.
    sides: Option<u32>,
    /// The same number gives the same roll.
    seed: Option<u64>,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Choice {
    /// What to choose from.
    options: Vec<String>,
    /// The same number gives the same choice.
    seed: Option<u64>,
}

#[tool_router]
impl Dice {
    #[tool(
        description = "Roll dice and add them up.",
        annotations(read_only_hint = true)
    )]
    fn roll(Parameters(roll): Parameters<Roll>) -> Result<String, String> {
        let (count, sides) = (roll.count.unwrap_or(1), roll.sides.unwrap_or(6));
        if !(1..=MOST_DICE).contains(&count) || sides == 0 {
            return Err(format!(
                "`count` is from 1 to {MOST_DICE}, and `sides` is at least 1"
            ));
        }
        let mut chance = Chance::new(roll.seed)?;
        let fallen: Vec<u64> = (0..count).map(|_| chance.below(sides.into()) + 1).collect();
        let sum: u64 = fallen.iter().sum();
        let shown: Vec<String> = fallen.iter().map(u64::to_string).collect();
        Ok(match shown.as_slice() {
            [one] => one.clone(),
            several => format!("{} = {sum}", several.join(" + ")),
        })
    }

    #[tool(
        description = "Choose one of several things.",
        annotations(read_only_hint = true)
    )]
    fn choose(Parameters(choice): Parameters<Choice>) -> Result<String, String> {
        let most = u64::try_from(choice.options.len()).unwrap_or(u64::MAX);
        let chosen = Chance::new(choice.seed)?.below(most.max(1));
        let chosen = usize::try_from(chosen)
            .ok()
            .and_then(|at| choice.options.get(at));
        chosen
            .cloned()
            .ok_or_else(|| "`options` is empty".to_owned())
    }
}

#[tool_handler(
    name = "janus-demo-dice",
    instructions = "Dice, for whoever cannot decide."
)]
impl ServerHandler for Dice {}

/// `SplitMix64`: small, and good enough for dice.
struct Chance(u64);

impl Chance {
    fn new(seed: Option<u64>) -> Result<Self, String> {
        match seed {
            Some(seed) => Ok(Self(seed)),
            None => getrandom::u64()
                .map(Self)
                .map_err(|error| error.to_string()),
        }
    }

    /// A number from 0 to `most` - 1.
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let scaled = (u128::from(mixed) * u128::from(most)) >> 64;
        u64::try_from(scaled).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_the_roll_and_every_side_comes_up() {
        let roll = |count, sides, seed| Dice::roll(Parameters(Roll { count, sides, seed }));
        assert_eq!(
            roll(Some(2), None, Some(7)),
            roll(Some(2), Some(6), Some(7))
        );
        assert!(roll(Some(0), None, None).is_err());
        assert!(roll(None, Some(0), None).is_err());
        let mut seen: Vec<u32> = (0..200)
            .map(|seed| roll(None, None, Some(seed)).unwrap().parse().unwrap())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_choice_is_one_of_the_options() {
        let choose = |options: &[&str]| {
            let options = options.iter().map(|option| (*option).to_owned()).collect();
            Dice::choose(Parameters(Choice {
                options,
                seed: Some(1),
            }))
        };
        assert!(["tea", "coffee"].contains(&choose(&["tea", "coffee"]).unwrap().as_str()));
        assert!(choose(&[]).is_err());
    }
}
