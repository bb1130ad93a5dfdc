"""Each type of model that reads texts computes what transformers computes, and exports with parity."""

import pytest
import torch

import zoo

WORDS = {"vocab_size": 32, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
FAMILIES = {
    "albert": ("Albert", {**WORDS, "embedding_size": 16, "max_position_embeddings": 24}),
    "camembert": ("Camembert", {**WORDS, "max_position_embeddings": 26}),
    "distilbert": (
        "DistilBert",
        {"vocab_size": 32, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 24},
    ),
    "electra": ("Electra", {**WORDS, "embedding_size": 16, "max_position_embeddings": 24}),
    "modernbert": (
        "ModernBert",
        {
            **WORDS,
            "max_position_embeddings": 24,
            "pad_token_id": 0,
            "layer_types": ["full_attention", "sliding_attention"],
            "local_attention": 4,
        },
    ),
    "mpnet": ("MPNet", {**WORDS, "max_position_embeddings": 26}),
    "roberta": ("Roberta", {**WORDS, "max_position_embeddings": 26, "pad_token_id": 1}),
    "xlm-roberta": ("XLMRoberta", {**WORDS, "max_position_embeddings": 26, "pad_token_id": 1}),
}


def imported(name, folder_of, tmp_path):
    """Return the model of a folder with random weights, its run, and its graph."""
    import transformers

    kind, sizes = FAMILIES[name]
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**sizes))
    with torch.no_grad():
        for parameter in model.parameters():  # fresh norms and biases are ones and zeros, which hide a wrong order
            parameter.add_(0.1 * torch.randn_like(parameter))
    run = zoo.import_model(folder_of(model, {"tokenizer_config.json": {"model_max_length": 16}}), tmp_path / "run")
    return model.eval(), run


@pytest.mark.parametrize("name", FAMILIES)
def test_a_type_computes_what_transformers_computes(name, folder_of, texts, tmp_path):
    model, run = imported(name, folder_of, tmp_path)
    loaded = zoo.load(run.weights).model
    arrays = loaded.modalities["text"].to_arrays(texts)
    ids, mask = (torch.from_numpy(arrays[key]) for key in ("ids", "mask"))
    padded = torch.where(mask, ids, model.config.pad_token_id or 0)
    with torch.no_grad():
        hidden = model(input_ids=padded, attention_mask=mask.long()).last_hidden_state
        (graph,) = loaded.graphs(raw=False)
        found = graph.module({"text.ids": ids, "text.mask": mask})["encode_text.embedding"]
    weight = mask[..., None].float()
    expected = torch.nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.verify
@pytest.mark.parametrize("name", FAMILIES)
def test_a_type_exports_with_parity(name, folder_of, tmp_path):
    _, run = imported(name, folder_of, tmp_path)
    bundle = zoo.export(run, tmp_path / "bundle")
    assert bundle.run("encode_text", {"text": ["a cat", ""]})["encode_text.embedding"].shape == (2, 32)
