//! How somebody looks: colours, hair, clothes and room. Three are drawn by hand, all others follow
//! from their number, so that a hundred bots can be told apart.

/// sRGB.
pub type Rgb = (u8, u8, u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hair {
    Bun,
    Short,
    Curly,
    Long,
    Bob,
    Buzz,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clothes {
    Crew,
    Hoodie,
    Blazer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Shelf,
    Window,
    Picture,
    Plant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub name: &'static str,
    pub skin: Rgb,
    pub hair: Hair,
    pub hair_colour: Rgb,
    pub beard: bool,
    pub glasses: bool,
    pub earrings: bool,
    pub clothes: Clothes,
    pub clothes_colour: Rgb,
    pub shirt_colour: Rgb,
    pub iris: Rgb,
    pub room: Room,
    pub wall: Rgb,
}

const SKINS: [Rgb; 6] = [(255, 219, 188), (241, 194, 153), (224, 172, 125), (188, 127, 84), (141, 88, 56), (104, 64, 43)];
const HAIRS: [Rgb; 6] = [(58, 36, 28), (28, 24, 28), (150, 92, 42), (214, 168, 92), (150, 62, 34), (178, 178, 184)];
const CLOTHES: [Rgb; 8] =
    [(38, 122, 122), (64, 98, 60), (224, 168, 48), (176, 62, 72), (66, 92, 168), (124, 76, 148), (214, 112, 66), (60, 66, 82)];
const WALLS: [Rgb; 6] = [(214, 190, 160), (150, 182, 190), (96, 84, 124), (176, 190, 156), (206, 168, 164), (88, 112, 140)];
const NAMES: [&str; 12] = ["Ada", "Linus", "Grace", "Alan", "Hedy", "Edsger", "Radia", "Dennis", "Barbara", "Tim", "Katherine", "Niklaus"];

impl Look {
    /// The look of bot `number`.
    pub fn of(number: u8) -> Self {
        match number {
            0 => Self::ada(),
            1 => Self::linus(),
            2 => Self::grace(),
            _ => Self::other(number),
        }
    }

    fn ada() -> Self {
        Self {
            name: NAMES[0],
            skin: SKINS[0],
            hair: Hair::Bun,
            hair_colour: (84, 46, 32),
            beard: false,
            glasses: false,
            earrings: true,
            clothes: Clothes::Blazer,
            clothes_colour: (32, 118, 122),
            shirt_colour: (246, 236, 222),
            iris: (70, 98, 92),
            room: Room::Shelf,
            wall: (222, 196, 160),
        }
    }

    fn linus() -> Self {
        Self {
            name: NAMES[1],
            skin: SKINS[1],
            hair: Hair::Short,
            hair_colour: (196, 122, 58),
            beard: true,
            glasses: true,
            earrings: false,
            clothes: Clothes::Hoodie,
            clothes_colour: (70, 104, 72),
            shirt_colour: (232, 232, 226),
            iris: (66, 92, 120),
            room: Room::Window,
            wall: (146, 178, 190),
        }
    }

    fn grace() -> Self {
        Self {
            name: NAMES[2],
            skin: SKINS[4],
            hair: Hair::Curly,
            hair_colour: (38, 28, 28),
            beard: false,
            glasses: false,
            earrings: true,
            clothes: Clothes::Crew,
            clothes_colour: (232, 172, 48),
            shirt_colour: (250, 240, 220),
            iris: (58, 36, 24),
            room: Room::Picture,
            wall: (104, 88, 138),
        }
    }

    fn other(number: u8) -> Self {
        let mut state = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut pick = |n: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as usize % n
        };
        let hair = [Hair::Bun, Hair::Short, Hair::Curly, Hair::Long, Hair::Bob, Hair::Buzz][pick(6)];
        let short = matches!(hair, Hair::Short | Hair::Buzz);
        Self {
            name: NAMES[usize::from(number) % NAMES.len()],
            skin: SKINS[pick(SKINS.len())],
            hair,
            hair_colour: HAIRS[pick(HAIRS.len())],
            beard: short && pick(2) == 0,
            glasses: pick(3) == 0,
            earrings: !short && pick(2) == 0,
            clothes: [Clothes::Crew, Clothes::Hoodie, Clothes::Blazer][pick(3)],
            // Consecutive numbers never share clothes or walls.
            clothes_colour: CLOTHES[usize::from(number) % CLOTHES.len()],
            shirt_colour: (240, 236, 228),
            iris: [(70, 98, 92), (66, 92, 120), (58, 36, 24), (96, 70, 36)][pick(4)],
            room: [Room::Shelf, Room::Window, Room::Picture, Room::Plant][pick(4)],
            wall: WALLS[usize::from(number) % WALLS.len()],
        }
    }
}
