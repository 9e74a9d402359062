"""Hypothesis strategies for what strangers may send: any text, any JSON object."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from p2pchat.wire.strict_json import JsonObject

any_text = st.text(st.characters(codec="utf-8"), max_size=20)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    any_text,
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(any_text, inner, max_size=4)
    ),
    max_leaves=8,
)


def text_of(least: int, most: int) -> st.SearchStrategy[str]:
    """Return texts of that many characters that UTF-8 can carry and that aren't blank."""
    texts = st.text(st.characters(codec="utf-8"), min_size=least, max_size=most)
    return texts.filter(lambda text: not least or bool(text.strip()))


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[JsonObject]) -> JsonObject:
    """Return a good object with some members replaced, removed or added."""
    members: dict[str, Any] = dict(draw(whole))
    for name in draw(st.lists(st.sampled_from(sorted(members)), max_size=3)):
        if draw(st.booleans()):
            members[name] = draw(values)
        else:
            members.pop(name, None)
    return {**members, **draw(st.dictionaries(any_text, values, max_size=2))}
