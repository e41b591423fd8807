"""Score distillation by real diffusion models, small ones of random weights, against its formula in plain autograd."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from blockcore.errors import BlockcoreError, SettingsError
from blockcore.guidance.diffusion import LatentDiffusion
from blockcore.guidance.distillation import Annealing, ScoreDistillation
from blockcore.guidance.pipeline_folder import PipelineFolder, library
from blockcore.guidance.protocol import generator_of
from blockcore.guidance.shots import CameraSampler
from blockcore.guidance.similarity import TextSimilarity
from blockcore.guidance.words import VIEWS, Prompt
from tests.pipelines import save_clip, save_pipeline

PROMPT = Prompt("a hut, of wood", "fog")
SHOTS = CameraSampler((0.0, 0.0, 0.0), 1.0, elevation=(0.0, 80.0)).shots(3, 5)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return save_pipeline(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def pictures():
    return torch.rand((5, 3, 40, 40), generator=torch.Generator().manual_seed(1))


def test_memory_is_asked_for_what_is_loaded_alone(pipeline, tmp_path):
    whole = shutil.copytree(pipeline, tmp_path / "whole")
    before = PipelineFolder.find(str(whole)).weight
    (whole / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(bytes(1000))
    (whole / "safety_checker").mkdir()
    (whole / "safety_checker" / "model.safetensors").write_bytes(bytes(1000))
    assert PipelineFolder.find(str(whole)).weight == before > 0


def parts_of(folder):
    diffusers, transformers = library("diffusers"), library("transformers")
    read = {"local_files_only": True}
    scheduler = diffusers.DDPMScheduler.from_pretrained(folder / "scheduler", **read)
    return (
        diffusers.UNet2DConditionModel.from_pretrained(folder / "unet", **read).requires_grad_(False).double(),
        diffusers.AutoencoderKL.from_pretrained(folder / "vae", **read).requires_grad_(False).double(),
        transformers.CLIPTextModel.from_pretrained(folder / "text_encoder", **read).eval().double(),
        transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer", **read),
        scheduler,
    )


def side_of(azimuth, elevation):
    """Which side of DreamFusion's four a camera sees."""
    if elevation > 60.0:
        return "overhead view"
    turned = min(azimuth % 360.0, 360.0 - azimuth % 360.0)
    return "front view" if turned <= 45.0 else "back view" if turned >= 135.0 else "side view"


def reference(folder, pictures, kind, step, seed, scale):
    """The gradient in the pictures, by the papers' formulas, in float64, one picture after another."""
    unet, vae, encoder, tokenizer, scheduler = parts_of(folder)

    def told(text):
        how = {"padding": "max_length", "max_length": 16, "truncation": True, "return_tensors": "pt"}
        return encoder(tokenizer([text], **how).input_ids).last_hidden_state

    x = pictures.double().requires_grad_(True)
    small = torch.nn.functional.interpolate(x, (32, 32), mode="bilinear", antialias=True)
    z = vae.encode(2 * small - 1).latent_dist.mean * 0.18215
    drawn = generator_of(seed, step, 1)
    share = torch.rand(len(z), generator=drawn, dtype=torch.float64)
    low, high = 0.02, 0.98 + step / 99 * (0.5 - 0.98)
    times = ((low + (high - low) * share) * 1000).long()
    noise = torch.randn(z.shape, generator=drawn).double()
    loss = torch.zeros((), dtype=torch.float64)
    for i, t in enumerate(times):
        alpha = scheduler.alphas_cumprod[t].double()
        noisy = (alpha**0.5 * z[i] + (1 - alpha) ** 0.5 * noise[i]).detach()[None]
        text = f"{PROMPT.text}, {side_of(SHOTS.azimuth[i], SHOTS.elevation[i])}"
        with_words, without = (unet(noisy, t, encoder_hidden_states=told(w)).sample[0] for w in (text, PROMPT.negative))
        led = scale * (with_words - without)
        score = led if kind == "csd" else without + led - noise[i]
        loss = loss + ((1 - alpha) * score * z[i]).sum() / len(z)
    (gradient,) = torch.autograd.grad(loss, x)
    return gradient


@pytest.mark.parametrize("kind", ["sds", "csd"])
def test_the_gradient_is_that_of_the_papers(pipeline, pictures, kind):
    denoiser = LatentDiffusion.load(str(pipeline))
    guidance = ScoreDistillation(denoiser, PROMPT, kind, 7.5, Annealing(steps=100), seed=4)
    x = pictures.clone().requires_grad_(True)
    guidance(x, SHOTS, 30).backward()
    expected = reference(pipeline, pictures, kind, 30, 4, 7.5)
    assert float((x.grad - expected).norm() / expected.norm()) <= 1e-5
    assert denoiser.asked == 1
    weights = [p for part in (denoiser.unet, denoiser.vae, denoiser.encoders[0][1]) for p in part.parameters()]
    assert not any(p.requires_grad or p.grad is not None for p in weights)


def test_nothing_flows_through_what_sees_the_noise(pipeline, pictures):
    denoiser = LatentDiffusion.load(str(pipeline))
    guidance = ScoreDistillation(denoiser, PROMPT, "sds", 3.0)
    x = pictures.clone().requires_grad_(True)
    latents = denoiser.encode(x)
    handed = guidance.gradient(latents.detach(), SHOTS, 2)
    (by_hand,) = torch.autograd.grad((latents * handed).sum() / len(x), x)
    y = pictures.clone().requires_grad_(True)
    guidance(y, SHOTS, 2).backward()
    assert float((y.grad - by_hand).norm() / by_hand.norm()) <= 1e-5


@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
def test_what_a_model_predicts_is_turned_into_noise(tmp_path, prediction):
    denoiser = LatentDiffusion.load(str(save_pipeline(tmp_path / "model", prediction=prediction)))
    noisy = torch.randn((2, 4, 16, 16), generator=torch.Generator().manual_seed(2))
    time, words = torch.tensor([40, 800]), denoiser.words(("a hut",))
    index = torch.zeros(2, dtype=torch.int64)
    noise = denoiser.noise(noisy, time, words, index)
    denoiser.prediction = "epsilon"
    said = denoiser.noise(noisy, time, words, index)
    alpha = denoiser.alphas[time].reshape(-1, 1, 1, 1)
    clean = (noisy - (1 - alpha).sqrt() * noise) / alpha.sqrt()
    expected = clean if prediction == "sample" else alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
    torch.testing.assert_close(said, expected, rtol=1e-3, atol=1e-4)


def test_a_model_like_sdxl_is_told_the_whole_text_and_the_frame(tmp_path, pictures):
    denoiser = LatentDiffusion.load(str(save_pipeline(tmp_path / "large", large=True)))
    told = denoiser.words(("a hut", "a tower", ""))
    assert told.states.shape == (3, 16, 32)
    assert told.pooled.shape == (3, 16)
    assert not told.states[2].any()
    assert not told.pooled[2].any()
    x = pictures.clone().requires_grad_(True)
    ScoreDistillation(denoiser, PROMPT)(x, SHOTS, 0).backward()
    assert float(x.grad.abs().max()) > 0.0


def test_a_step_is_drawn_by_its_number(pipeline, pictures):
    guidance = ScoreDistillation(LatentDiffusion.load(str(pipeline)), PROMPT, seed=9)
    latents = guidance.denoiser.encode(pictures)
    first = guidance.gradient(latents, SHOTS, 5)
    assert not torch.equal(guidance.gradient(latents, SHOTS, 6), first)
    assert torch.equal(guidance.gradient(latents, SHOTS, 5), first)


def test_noise_grows_weaker(pipeline):
    annealing = Annealing((0.5, 0.9), (0.1, 0.2), steps=11)
    drawn = torch.Generator().manual_seed(0)
    assert 500 <= int(annealing.times(0, 1000, 1000, drawn).min()) < 520
    assert 180 < int(annealing.times(10, 1000, 1000, drawn).max()) <= 200
    middle = annealing.times(5, 1000, 1000, drawn)
    assert int(middle.min()) >= 300 and int(middle.max()) <= 550


def test_words_follow_the_camera():
    shots = CameraSampler((0.0, 0.0, 0.0), 1.0, elevation=(-80.0, 80.0)).shots(0, 200)
    told = [PROMPT.texts[i] for i in PROMPT.index(shots)]
    sides = [side_of(a, e) for a, e in zip(shots.azimuth, shots.elevation, strict=True)]
    assert told == [f"a hut, of wood, {side}" for side in sides]
    assert set(sides) == set(VIEWS)
    plain = Prompt("a hut", by_view=False)
    assert [plain.texts[i] for i in plain.index(shots)] == ["a hut"] * 200


def test_similarity_is_one_less_the_cosine(tmp_path, pictures):
    folder = save_clip(tmp_path / "clip")
    guidance = TextSimilarity.load(str(folder), Prompt("a hut", by_view=False))
    small = pictures[:, :, :32, :32].clone().requires_grad_(True)
    loss = guidance(small, SHOTS, 0)
    mean, spread = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
    standard = (small.detach() - torch.tensor(mean)[:, None, None]) / torch.tensor(spread)[:, None, None]
    tokenizer = library("transformers").CLIPTokenizer.from_pretrained(folder)
    tokens = tokenizer(["a hut"], padding="max_length", return_tensors="pt").input_ids
    said = guidance.model(input_ids=tokens, pixel_values=standard)
    cosine = said.logits_per_image / guidance.model.logit_scale.exp()
    assert loss.item() == pytest.approx(1.0 - float(cosine.mean()), abs=1e-5)
    loss.backward()
    assert float(small.grad.abs().max()) > 0.0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "model_index.json").unlink(), "no pipeline"),
        (lambda folder: (folder / "model_index.json").write_text("{"), "model_index.json"),
        (lambda folder: (folder / "model_index.json").write_text(json.dumps({"unet": ["a", "b"]})), "it has no vae"),
        (lambda folder: shutil.rmtree(folder / "vae"), "vae cannot be loaded"),
        (lambda folder: (folder / "unet" / "config.json").write_text("[]"), "unet cannot be loaded"),
        (
            lambda folder: (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "x.bin"),
            "unet cannot be loaded",
        ),
        (
            lambda folder: (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 64),
            "unet cannot be loaded",
        ),
    ],
)
def test_a_folder_that_is_no_pipeline_is_one_clear_line(pipeline, tmp_path, spoil, said):
    folder = tmp_path / "spoiled"
    shutil.copytree(pipeline, folder)
    spoil(folder)
    with pytest.raises(BlockcoreError, match=said) as error:
        LatentDiffusion.load(str(folder))
    assert len(str(error.value)) <= 300


def test_nothing_is_fetched():
    with pytest.raises(SettingsError, match="nothing is fetched unasked"):
        LatentDiffusion.load("somebody/some-model")


def test_an_empty_prompt_is_refused():
    with pytest.raises(SettingsError, match="prompt is empty"):
        Prompt("  ")
    assert np.isfinite(SHOTS.view).all()
