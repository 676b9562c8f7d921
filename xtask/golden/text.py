"""Tf-idf of words and characters, by scikit-learn."""

from sklearn.feature_extraction.text import TfidfVectorizer
from write import write

TEXTS = [
    "a good film, a very good film!",
    "not good at all",
    "the day was bad and the film was worse",
    "房间很大、服务好",
    "房间小 but good",
    "i'm 2 days late",
]
OTHERS = ["a good day", "unseen words only", "很好 film", ""]
# Runs of letters and digits, each Chinese, Japanese or Korean character by itself, and each mark.
WORD = r"[^\W\u2e80-\ufaff]+|[\u2e80-\ufaff]|[^\w\s]"


def run(name, vectorizer):
    vectorizer.fit(TEXTS)
    rows = vectorizer.transform(TEXTS + OTHERS)
    # The n-grams' own order differs, so that each text's weights are compared by size.
    weights = [sorted(rows[i].data.tolist()) for i in range(rows.shape[0])]
    return {"name": name, "texts": TEXTS, "others": OTHERS, "size": rows.shape[1], "weights": weights}


write(
    "text",
    [
        run("words", TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True)),
        run("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)),
    ],
)
