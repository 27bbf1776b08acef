//! A text with each construct of Markdown that models use.

/// The text. Its code and its table are wider than a telephone.
pub(in super::super) const MARKDOWN: &str = r#"# The river and the sea

Irie the river, **steady** and *free*,
it carries its `salt` from the stone to the sea.

## What it carries

1. Salt from the hills:
   - sodium
   - chloride, *most of all*
2. Rain, which [rises again](https://en.wikipedia.org/wiki/Water_cycle "The water cycle").

- [x] dissolve
- [ ] evaporate

> One love, one water.
> It all comes round.

```python
def saltiness(river_flow_in_cubic_meters, evaporation_in_cubic_meters, grams_of_salt_in_each_cubic_meter=0.12):
    # Only water rises; the *salt* stays.
    return grams_of_salt_in_each_cubic_meter * river_flow_in_cubic_meters / evaporation_in_cubic_meters
```

| Water | Salt (g/l) | Where it is found, and what it is good for in the long run |
|:------|-----------:|:----------------------------------------------------------:|
| rain  | 0          | everywhere, sooner or later, and good for all that grows   |
| sea   | **35**     | from Negril to the end of the world, and good for a swim   |

The share is $s = m_{salt} / m_{water}$, or $3.5\,\%$. An <b onclick="alert(1)">HTML tag</b> stays text.

---

![The sea at Negril](https://example.com/negril.jpg) — see https://example.com/sea, or ~~ask~~ `curl`."#;
