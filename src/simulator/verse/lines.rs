//! The lines of the verses, sorted into families that rhyme.
//!
//! Each line is a clause with four beats, so that any two lines of a family make a couplet. `{}`
//! stands for a word of the prompt and is never the rhyme. Lines have no closing punctuation;
//! [`compose`](super::compose) adds it.

/// Lines whose last words rhyme with each other.
pub(super) struct Family {
    /// Lines that name the topic; those with `“{}”` quote it.
    pub(super) topical: &'static [&'static str],
    /// Lines that need no topic.
    pub(super) plain: &'static [&'static str],
}

/// Every family.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        topical: &[
            "With “{}” we set our feet for Zion",
            "In “{}” I hear the patient lion",
            "A word like {} outlives cold iron",
            "I spell out {} in bright Orion",
        ],
        plain: &[
            "The road is long that leads to Zion",
            "The heart walks gentle as a lion",
            "No chain is strong, not even iron",
            "Above the hill still shines Orion",
            "Each child of love is freedom's scion",
        ],
    },
    Family {
        topical: &[
            "You carry “{}” from near and far",
            "I sing of {} on my guitar",
            "Let {} shine out, a morning star",
            "For “{}” I leave the gate ajar",
        ],
        plain: &[
            "We lift our voice in thanks to Jah",
            "A kindly word will travel far",
            "The smallest light is still a star",
            "Come as you stand, come as you are",
            "The evening tunes her old guitar",
            "The dawn has left her door ajar",
        ],
    },
    Family {
        topical: &[
            "I write “{}” inside my diary",
            "You ask of {}, a fair inquiry",
            "With “{}” in mind the day is irie",
            "Let talk of {} be warm, not fiery",
        ],
        plain: &[
            "The sun comes up, the mood is irie",
            "The drum is deep, the dance is fiery",
            "The elder's hands are warm and wiry",
            "We keep our feet when roads are miry",
            "Each day is one page in the diary",
        ],
    },
    Family {
        topical: &[
            "You spoke of “{}” to I and I",
            "I lift up “{}” to touch the sky",
            "Now {} comes softly drifting by",
            "The how of {}, the when, the why",
            "Of “{}” I sing, or so I try",
        ],
        plain: &[
            "One love, one heart, for I and I",
            "The eagle owns no inch of sky",
            "We hold our heads up straight and high",
            "No well of kindness shall run dry",
            "Give hope her wings and let her fly",
            "The brighter day is drawing nigh",
            "The seeds of goodness multiply",
        ],
    },
    Family {
        topical: &[
            "Remember “{}”, the elders said",
            "Through {} there runs a golden thread",
            "Take “{}” in hand and go ahead",
            "At talk of {} we break the bread",
        ],
        plain: &[
            "Stand firm, stand natural, stand dread",
            "Share out the table, share the bread",
            "A brighter morning lies ahead",
            "The river sings within her bed",
            "Let only love and light be spread",
            "The evening glows in gold and red",
            "We follow where the truth has led",
        ],
    },
    Family {
        topical: &[
            "The tree of {} has ancient roots",
            "In time “{}” will bear its fruits",
            "We hum “{}” on wooden flutes",
            "From seeds of {} come tender shoots",
        ],
        plain: &[
            "The wind is strong, we trust our roots",
            "The earth is kind and gives her fruits",
            "The hills reply with bamboo flutes",
            "The rain awakes the greenest shoots",
            "We trod the hills in dusty boots",
            "The sun climbs up, the hill salutes",
        ],
    },
    Family {
        topical: &[
            "I hold “{}” up to the light",
            "We talk of {} into the night",
            "Meet “{}” with love and meet it right",
            "O {}, you are a welcome sight",
        ],
        plain: &[
            "We sow by day and sing by night",
            "The lamp of love is burning bright",
            "Stand up for truth, stand up for right",
            "The mountain lends the soul her height",
            "Walk humbly in your strength and might",
            "Each open window lets in light",
        ],
    },
    Family {
        topical: &[
            "The road of {} has just begun",
            "Bring “{}” out into the sun",
            "Your word “{}” and mine are one",
            "With {} in mind the work gets done",
        ],
        plain: &[
            "Give thanks and praise for rising sun",
            "The many rivers flow as one",
            "A better world has now begun",
            "In unity the work is done",
            "The streams of mercy freely run",
            "From humble wool the robe is spun",
        ],
    },
    Family {
        topical: &[
            "Let {} go with you on your way",
            "Now hear what “{}” has got to say",
            "Keep “{}” in mind throughout the day",
            "For {} the drummers start to play",
        ],
        plain: &[
            "Give thanks for each and every day",
            "The heart that listens finds the way",
            "Sit down a while, be still and pray",
            "The palms along the seaside sway",
            "The potter's hand is kind to clay",
            "Good people come, good people stay",
            "The morning sends her gentlest ray",
        ],
    },
    Family {
        topical: &[
            "We reason “{}”, both you and me",
            "There's room for {} beside the sea",
            "The truth of {} will set us free",
            "In “{}” there lies a hidden key",
        ],
        plain: &[
            "The mind is born to wander free",
            "All rivers make one mighty sea",
            "Come rest beneath the almond tree",
            "What good we speak is what will be",
            "A gentle word will turn the key",
            "The child sits on the elder's knee",
        ],
    },
    Family {
        topical: &[
            "I turn “{}” into a song",
            "In talk of {} the heart grows strong",
            "Let “{}” come in, let all belong",
            "For {} we ring the silver gong",
        ],
        plain: &[
            "The birds at daybreak lead the song",
            "The humble vine is green and strong",
            "Here every soul shall well belong",
            "The road is joyful with the throng",
            "Forgiveness mends the oldest wrong",
        ],
    },
    Family {
        topical: &[
            "The beat of {} is in the drum",
            "You called out “{}” and so we come",
            "With {} the strings begin to hum",
            "A tune on “{}” is what I strum",
        ],
        plain: &[
            "The heartbeat is the oldest drum",
            "All nations, lay down swords and come",
            "The bees of summer softly hum",
            "I bless each chord my fingers strum",
            "And love is greater than the sum",
            "The bassline rolls beneath the thumb",
        ],
    },
    Family {
        topical: &[
            "I hear “{}” and overstand",
            "I write “{}” upon the sand",
            "I carry {} in open hand",
            "The news of {} goes through the land",
        ],
        plain: &[
            "Take time to listen, overstand",
            "A mango sweetens in the hand",
            "The waves are combing silver sand",
            "May peace be over all the land",
            "The simple heart is truly grand",
            "The sistren gather, one strong band",
        ],
    },
    Family {
        topical: &[
            "I answer “{}” with only love",
            "I send “{}” upon a dove",
            "There's word of {} from up above",
        ],
        plain: &[
            "What moves the world is only love",
            "The blessing falls from far above",
            "Upon the roof there sits a dove",
            "Good work will fit you like a glove",
        ],
    },
    Family {
        topical: &[
            "O {}, as welcome as the rain",
            "Let {} be spoken clear and plain",
            "With “{}” I open my refrain",
            "In {} I find a golden grain",
        ],
        plain: &[
            "The fields give thanks for gentle rain",
            "No heart was made to wear a chain",
            "The patient farmer reaps the grain",
            "The crickets chant the night's refrain",
            "The good we do will still remain",
            "The wind goes dancing through the cane",
        ],
    },
    Family {
        topical: &[
            "Hear {} ring out, a joyful sound",
            "I plant “{}” in fertile ground",
            "Come pass “{}” the circle round",
            "What joy in {} is to be found",
        ],
        plain: &[
            "One people moving to one sound",
            "Walk softly, this is holy ground",
            "The seasons turn, the wheel goes round",
            "No living soul was to be bound",
            "The meek, the kind, they shall be crowned",
        ],
    },
];

/// The closing phrases that some verses have.
pub(super) const FLOURISHES: &[&str] = &["🌞", "🌱", "🕊️", "🎶", "❤️💛💚"];

/// The beginnings of lines in a multi-byte verse: characters of two to four bytes, combining marks,
/// joined emoji, and scripts without spaces.
pub(super) const ORNAMENTS: &[&str] = &[
    "🌞",
    "ሰላም",
    "和平",
    "cafe\u{301}",
    "👩🏾‍🌾",
    "नमस्ते",
    "🇯🇲🇪🇹",
    "ひとつの愛",
    "Ⅎ∞ÿ",
    "❤️💛💚",
    "سلام",
    "𝄞𝄢",
];

/// The last words that each family may have, in the order of [`FAMILIES`]; the tests check each line
/// against them. No two words of a family sound the same from the last stressed consonant on: *day*
/// and *today*, *sea* and *see* are no rhymes.
#[cfg(test)]
pub(super) const RHYMES: &[&[&str]] = &[
    &["Zion", "lion", "iron", "Orion", "scion"],
    &["Jah", "far", "star", "guitar", "are", "ajar"],
    &["irie", "fiery", "diary", "inquiry", "wiry", "miry"],
    &[
        "I", "sky", "high", "by", "why", "try", "dry", "fly", "nigh", "multiply",
    ],
    &[
        "dread", "bread", "ahead", "said", "bed", "thread", "spread", "red", "led",
    ],
    &["roots", "fruits", "flutes", "shoots", "boots", "salutes"],
    &[
        "light", "night", "right", "bright", "sight", "might", "height",
    ],
    &["sun", "one", "begun", "done", "run", "spun"],
    &[
        "day", "way", "say", "pray", "stay", "play", "clay", "sway", "ray",
    ],
    &["free", "sea", "tree", "be", "me", "key", "knee"],
    &["song", "strong", "belong", "wrong", "throng", "gong"],
    &["drum", "come", "hum", "strum", "sum", "thumb"],
    &["land", "hand", "overstand", "sand", "grand", "band"],
    &["love", "above", "dove", "glove"],
    &[
        "rain", "chain", "grain", "plain", "refrain", "remain", "cane",
    ],
    &["sound", "ground", "round", "found", "bound", "crowned"],
];
