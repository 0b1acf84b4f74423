"""Networks that take classes: the layers are the papers', and it is the class that matters."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from helpers import built, copied, names_in, normal, parameters, replica, same, stacked, uniform
from image_networks import pair
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from gp_lab.errors import BadInput
from gp_lab.networks.conditional import Head
from gp_lab.networks.convolution import ConditionalBatchNorm, norm_layer
from gp_lab.networks.resnet import Resnet2Discriminator, Resnet2Generator
from gp_lab.objectives.penalties import Penalty
from gp_lab.training.step import AUTOGRAD, FUNC, Differentiation, has_batch_norm

CLASSES = 3
LABELS = torch.tensor([0, 2, 2, 0])
"""Of a batch of 4: class 1 is not in it."""

ARCHITECTURES = (
    *("resnet_cifar_ac_gan", "resnet_cifar_projection", "resnet_lsun"),
    *("resnet2_imagenet", "sagan"),
)
PENALTIES = [name for name in names_in("penalty") if name not in ("none", "zero_gp_latent_path")]
"""Those with points that need no encoder."""

ONE_GP = built("penalty", "one_gp")


def conditional(name: str, *overrides: str, seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """(generator, discriminator) in float64, small, norms of the classes apart from each other."""
    nets = pair(name, f"classes={CLASSES}", *overrides, seed=seed)
    for module in nets[0].modules():
        if isinstance(module, ConditionalBatchNorm):
            set_apart(module)
    return nets


def set_apart(norm: ConditionalBatchNorm) -> ConditionalBatchNorm:
    with torch.no_grad():
        for i, table in enumerate((norm.scale.weight, norm.shift.weight)):
            table.add_(normal(*table.shape, seed=i, scale=0.3))
    return norm


def generated(generator: nn.Module, labels: Tensor = LABELS, seed: int = 1) -> Tensor:
    return generator(normal(4, 3, seed=seed), labels)


def logits(discriminator: Any, params: dict[str, Tensor], x: Tensor) -> Tensor:
    """f of images [4 k, ...] whose labels are LABELS, again and again."""
    labels = (LABELS.repeat(len(x) // 4),) if discriminator.classes else ()
    out = functional_call(discriminator, params, (x, *labels))
    return out[0] if getattr(discriminator, "head_classes", 0) else out


def tables(net: nn.Module) -> list[str]:
    """The parameters that have a row for each class that comes as a label."""
    rows = ("scale.weight", "shift.weight", "embedding.weight")
    found = [k for k, _ in net.named_parameters() if k.endswith(rows)]
    return [*found, *(["output.weight"] if isinstance(net, Resnet2Discriminator) else [])]


# Layers


def test_conditional_batch_norm_is_batch_norm_with_the_affine_of_each_samples_class() -> None:
    layer, x = set_apart(ConditionalBatchNorm(5, CLASSES).double()), 2 + 3 * normal(4, 5, 3, 3)
    out = layer(x, LABELS)
    for i, label in enumerate(LABELS):
        affine = layer.scale.weight[label], layer.shift.weight[label]
        whole = functional.batch_norm(x, None, None, *affine, training=True)
        torch.testing.assert_close(out[i], whole[i])


def test_conditional_batch_norm_begins_without_classes_and_keeps_nothing() -> None:
    layer, x = ConditionalBatchNorm(5, CLASSES).double(), normal(4, 5, 3, 3)
    assert torch.equal(layer(x, LABELS), norm_layer("batch", 5).double()(x))
    assert torch.equal(layer.eval()(x, LABELS), layer.train()(x, LABELS))
    assert not list(layer.buffers())
    assert has_batch_norm(layer)


@pytest.mark.parametrize("name", ["resnet_cifar_ac_gan", "resnet_lsun", "sagan"])
def test_the_norms_of_the_blocks_know_the_class_and_the_last_one_does_not(name: str) -> None:
    generator = conditional(name)[0]
    modules = dict(generator.named_modules())
    norms = [k for k, m in modules.items() if isinstance(m, ConditionalBatchNorm)]
    assert norms
    assert norms == [k for k in modules if k.endswith(("norm1", "norm2"))]
    assert isinstance(modules["norm"], nn.BatchNorm2d)


def test_a_projection_adds_the_product_of_the_features_and_the_embedding_of_the_class() -> None:
    discriminator = conditional("resnet_cifar_projection")[1]
    x, head = normal(4, 3, 16, 16), discriminator.head
    h = discriminator.blocks(x).clamp(min=0).mean((2, 3))
    rows = zip(h, LABELS, discriminator(x, LABELS), strict=True)
    for one, label, f in rows:
        v = head.embedding.weight[label]
        torch.testing.assert_close(f, head.output.weight[0] @ one + head.output.bias[0] + v @ one)


def test_an_auxiliary_classifier_is_a_second_linear_layer_on_the_features_of_the_logit() -> None:
    discriminator = conditional("resnet_cifar_ac_gan")[1]
    assert (discriminator.classes, discriminator.head_classes) == (0, CLASSES)
    x, head = normal(4, 3, 16, 16), discriminator.head
    f, of_classes = discriminator(x)
    h = discriminator.blocks(x).clamp(min=0).mean((2, 3))
    torch.testing.assert_close(f, h @ head.output.weight[0] + head.output.bias)
    torch.testing.assert_close(of_classes, h @ head.classifier.weight.T + head.classifier.bias)


def test_a_head_may_have_both() -> None:
    head, h = Head(5, CLASSES, 7).double(), normal(4, 5)
    f, of_classes = head(h, LABELS)
    assert (f.shape, of_classes.shape) == ((4,), (4, 7))
    assert not torch.equal(f, head(h, (LABELS + 1) % CLASSES)[0])


def test_resnet2_generates_from_the_latent_and_the_unit_vector_of_the_class() -> None:
    generator = conditional("resnet2_imagenet", "generator.embed=6")[0]
    params = parameters(generator)
    vectors = params.pop("embedding.weight")[LABELS]
    z = torch.cat([normal(4, 3), vectors / (vectors**2).sum(1, keepdim=True).sqrt()], 1)
    alone = Resnet2Generator(3 + 6, 32, 3, filters=1).double()
    torch.testing.assert_close(functional_call(alone, params, (z,)), generated(generator, seed=0))


def test_resnet2_discriminates_by_the_output_of_the_class() -> None:
    discriminator, x = conditional("resnet2_imagenet")[1], normal(4, 3, 32, 32)
    params = parameters(discriminator)
    alone = Resnet2Discriminator(32, 3, filters=1).double()
    for i, label in enumerate(LABELS):
        rows = {k: params[k][label : label + 1] for k in ("output.weight", "output.bias")}
        of_class = functional_call(alone, params | rows, (x,))
        torch.testing.assert_close(discriminator(x, LABELS)[i], of_class[i])


# Networks


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_conditional_pairs_fit_each_other_and_say_that_they_take_classes(name: str) -> None:
    generator, discriminator = conditional(name)
    fakes = generated(generator)
    size = 32 if name == "resnet2_imagenet" else 16
    assert fakes.shape == (4, 3, size, size)
    assert logits(discriminator, parameters(discriminator), fakes).shape == (4,)
    assert (
        generator.classes
        == CLASSES
        == max(discriminator.classes, getattr(discriminator, "head_classes", 0))
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_learned_of_a_class_comes_from_its_own_samples(name: str) -> None:
    generator, discriminator = conditional(name)
    params, images = parameters(discriminator), normal(4, *generated(generator).shape[1:])
    outputs = {
        generator: lambda params: functional_call(generator, params, (normal(4, 3), LABELS)),
        discriminator: lambda params: logits(discriminator, params, images),
    }
    for net, call in outputs.items():
        if net is discriminator and not discriminator.classes:
            continue
        found = tables(net)
        assert found
        params = {k: p.requires_grad_() for k, p in parameters(net).items()}
        out = call(params)
        (out * normal(*out.shape, seed=2)).sum().backward()
        for key in found:
            by_class = params[key].grad.flatten(1).abs().sum(1)
            assert (by_class > 0).tolist() == [True, False, True], key


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_same_latent_makes_another_image_of_another_class(name: str) -> None:
    generator, discriminator = conditional(name)
    ones = torch.ones_like(LABELS)
    fakes = generated(generator)
    assert (generated(generator, ones) - fakes).flatten(1).abs().amax(1).min() > 1e-6
    if discriminator.classes:
        difference = discriminator(fakes, ones) - discriminator(fakes, LABELS)
        assert difference.abs().min() > 1e-9


def test_classes_without_batch_norm_are_refused_where_they_would_have_no_effect() -> None:
    for name in ("resnet_cifar_ac_gan", "resnet_lsun", "sagan"):
        for norm in ("none", "layer"):
            message = rf"architecture\.generator\.norm={norm}: .*norm=batch; or classes=0"
            with pytest.raises(BadInput, match=message):
                conditional(name, f"generator.norm={norm}")
    with pytest.raises(BadInput, match=r"generator\.classes=-1: must be at least 0"):
        pair("sagan", "classes=-1")


# Training


def penalised(
    discriminator: nn.Module,
    penalty: Penalty,
    differentiate: Differentiation,
    params: dict[str, Tensor],
    real: Tensor,
    fake: Tensor,
) -> dict[str, Tensor]:
    """Gradients of D's loss, which has a gradient in it."""
    points = penalty.points(real, fake, torch.full((4,), 0.3).double(), real[:0])

    def objective(params: dict[str, Tensor]) -> tuple[Tensor, Any]:
        critic = partial(logits, discriminator, params)
        value, _, _ = penalty(critic, points, differentiate.of_inputs)
        both = critic(torch.cat([real, fake])).unflatten(0, (2, -1)).mean(1)
        return both[1] - both[0] + value, value.detach()

    return differentiate.of_parameters(objective, params)[0]


def data_for(generator: nn.Module, seed: int = 0) -> tuple[Tensor, Tensor]:
    fake = generated(generator, seed=seed).detach()
    return 2 * uniform(*fake.shape, seed=seed) - 1, fake


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_conditional_critics_are_penalised_alike_by_both_ways(name: str, penalty: str) -> None:
    generator, discriminator = conditional(name)
    data, params = data_for(generator), parameters(discriminator)
    part = built("penalty", penalty, **({} if penalty == "cross_pairs" else {"anchor": [0.5]}))
    ways = [penalised(discriminator, part, way, copied(params), *data) for way in (AUTOGRAD, FUNC)]
    same(*ways, 1e-9)
    assert all(g.isfinite().all() for g in ways[0].values())
    if getattr(part, "shape", "one_sided") == "one_sided":  # small networks keep their bound
        return
    bare = penalised(discriminator, replace(part, weight=0.0), AUTOGRAD, params, *data)
    assert all(not torch.equal(ways[0][key], bare[key]) for key in tables(discriminator))


def of_both(
    nets: tuple[nn.Module, nn.Module],
    way: Differentiation,
    g: dict[str, Tensor],
    d: dict[str, Tensor],
    real: Tensor,
    z: Tensor,
    labels: Tensor,
) -> dict[str, dict[str, Tensor]]:
    """Gradients of G's loss with these labels and of D's, under WGAN-GP."""
    generator, discriminator = nets

    def objective(params: dict[str, Tensor]) -> tuple[Tensor, Any]:
        fake = functional_call(generator, params, (z, labels))
        return -logits(discriminator, d, fake).mean(), fake.detach()

    of_g, fake = way.of_parameters(objective, g)
    return {"g": of_g, "d": penalised(discriminator, ONE_GP, way, d, real, fake)}


def start(name: str, seed: int = 0) -> tuple[Any, ...]:
    nets = conditional(name, seed=seed)
    real, _ = data_for(nets[0], seed)
    return *(parameters(net) for net in nets), real, normal(4, 3, seed=seed), (LABELS + seed) % 3


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_stack_of_conditional_pairs_is_each_of_them_alone(name: str) -> None:
    nets, runs = conditional(name), [start(name, seed) for seed in range(2)]
    columns = [stacked(list(column)) for column in zip(*runs, strict=True)]
    together = vmap(partial(of_both, nets, FUNC))(*columns)
    for r, run in enumerate(runs):
        same(replica(together, r), of_both(nets, AUTOGRAD, *run), 1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradients_of_conditional_pairs_compile_in_one_graph(name: str) -> None:
    gradients = partial(of_both, conditional(name), FUNC)
    torch._dynamo.reset()
    compiled = torch.compile(gradients, fullgraph=True, backend="aot_eager")
    same(compiled(*start(name)), gradients(*start(name)))


def test_a_conditional_critic_compiles_in_one_graph() -> None:
    _, discriminator = conditional("resnet_cifar_projection", "discriminator.blocks=0")
    x = normal(4, 3, 16, 16)
    torch._dynamo.reset()
    compiled = torch.compile(discriminator, fullgraph=True, backend="aot_eager")
    same(compiled(x, LABELS), discriminator(x, LABELS))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_conditional_pairs_run_in_bfloat16(name: str) -> None:
    generator, discriminator = (net.float() for net in conditional(name))
    x, params = normal(4, 3).float(), parameters(discriminator)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        f = logits(discriminator, params, generator(x, LABELS).float())
    exact = logits(discriminator, params, generator(x, LABELS)).detach()
    torch.testing.assert_close(f.float(), exact, rtol=0.1, atol=0.1 * float(exact.abs().max()))
