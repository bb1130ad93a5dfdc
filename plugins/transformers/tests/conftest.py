"""Folders of tiny models with random weights, as transformers and sentence-transformers write them."""

import json

import pytest
import torch

TEXTS = ["a small cat", "Two cats, and a dog!", "café 消防车", "", "the unheard-of word", "red " * 40]
WORDS = ("a", "small", "cat", "##s", "two", "and", "dog", "the", "word", "red", "cafe", "消", "车", ",", "!", "-")


def wordpiece_json():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made = Tokenizer(models.WordPiece({one: n for n, one in enumerate((*special, *WORDS))}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(special)
    made.enable_padding(length=64)  # as MiniLM's file has it
    made.enable_truncation(64)
    return made.to_str()


@pytest.fixture(scope="session")
def texts():
    return TEXTS


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """Write a folder with a model of transformers and its tokenizer, and files beside them."""

    def write(model, files=None, tokenizer=wordpiece_json):
        folder = tmp_path_factory.mktemp("folder")
        model.save_pretrained(folder)
        if tokenizer is not None:
            (folder / "tokenizer.json").write_text(tokenizer())
        for name, content in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(json.dumps(content))
        return folder

    return write


@pytest.fixture(scope="session")
def tiny_bert(folder_of):
    """A folder of BERT as sentence-transformers writes one: mean, length one, at most 16 tokens."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    model = BertModel(BertConfig(vocab_size=32, max_position_embeddings=24, **sizes))
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    return folder_of(
        model,
        {
            "modules.json": [
                {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
                for n, (path, kind) in enumerate(modules)
            ],
            "1_Pooling/config.json": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False},
            "sentence_bert_config.json": {"max_seq_length": 16},
        },
    )


@pytest.fixture(scope="session")
def by_transformers():
    """Return what transformers computes for texts: the features of each token, and the mask."""

    def compute(folder, texts, length, kind="AutoModel"):
        import transformers

        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]"
        )
        made = tokenizer(texts, padding=True, truncation=True, max_length=length, return_tensors="pt")
        model = getattr(transformers, kind).from_pretrained(folder).eval()
        given = {"input_ids": made["input_ids"], "attention_mask": made["attention_mask"]}
        with torch.no_grad():
            return model(**given), given["attention_mask"][..., None].float()

    return compute
