//! The kinds of objects, by name.

/// A kind of object. Each has its own outline, colours and textures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A teal fish with a striped head.
    ZebraFish,
    /// A red beetle with a spotted black head and six legs.
    Ladybird,
    /// Yellow petals around a dark, checked centre.
    Sunflower,
    /// A tall green bottle with a striped label.
    Bottle,
    /// A violet cart on two spoked wheels.
    Wagon,
    /// A pale, thick stem under a pink, dotted cap.
    Mushroom,
    /// Orange brick walls under a checked roof.
    House,
    /// A veined lime leaf with blue berries.
    BerryLeaf,
    /// A brown ring with a sprinkled icing.
    Doughnut,
    /// A white animal with a patched head and four legs.
    Cow,
    /// A slate-blue foot under a spiral shell.
    Snail,
    /// A royal-blue star with a ringed centre.
    Starfish,
}

impl Kind {
    /// Every kind; a set of K classes has the first K.
    pub const ALL: [Self; 12] = [
        Self::ZebraFish,
        Self::Ladybird,
        Self::Sunflower,
        Self::Bottle,
        Self::Wagon,
        Self::Mushroom,
        Self::House,
        Self::BerryLeaf,
        Self::Doughnut,
        Self::Cow,
        Self::Snail,
        Self::Starfish,
    ];

    /// Name as in `classes.txt`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ZebraFish => "zebra-fish",
            Self::Ladybird => "ladybird",
            Self::Sunflower => "sunflower",
            Self::Bottle => "bottle",
            Self::Wagon => "wagon",
            Self::Mushroom => "mushroom",
            Self::House => "house",
            Self::BerryLeaf => "berry-leaf",
            Self::Doughnut => "doughnut",
            Self::Cow => "cow",
            Self::Snail => "snail",
            Self::Starfish => "starfish",
        }
    }

    /// How far from upright an object of this kind is found, in radians.
    pub(super) const fn tilt(self) -> f32 {
        use std::f32::consts::PI;
        match self {
            Self::Ladybird | Self::Sunflower | Self::BerryLeaf | Self::Doughnut | Self::Starfish => PI,
            Self::ZebraFish | Self::Bottle => 0.9,
            Self::Wagon | Self::Mushroom | Self::House | Self::Cow | Self::Snail => 0.4,
        }
    }
}
