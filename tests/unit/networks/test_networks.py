"""The 2-D networks are the functions that the papers write down, and pure enough to be stacked."""

import math
import shutil
from typing import Any

import pytest
import torch
from helpers import node_of, nodes_of
from scipy import stats
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from gp_lab.errors import BadInput
from gp_lab.instantiate import instantiate
from gp_lab.networks import layers
from gp_lab.networks.generators import Identity
from gp_lab.networks.layers import EqualizedLinear
from gp_lab.networks.mlp import MLP

ARCHITECTURES = [  # those of images and texts are in support/image_networks.py
    name
    for name, node in nodes_of("architecture").items()
    if "connection" in node and "channels" not in node
]
KEYS = [
    *("name", "depth", "width", "activation", "norm", "connection", "init", "bias"),
    *("latent", "generator", "discriminator"),
]
VARIANTS: list[dict[str, Any]] = [
    {"activation": "tanh"},
    {"activation": "softplus_elu", "connection": "concatenate", "init": "equalized"},
    {"activation": "selu", "norm": "layer", "init": "orthogonal"},
    {"activation": "relu", "init": "equalized_lecun"},
    {"activation": "relu", "norm": "batch", "init": "he_normal"},
    {"depth": 0},
]


def make(seed: int = 0, **settings: Any) -> MLP:
    settings = {"inputs": 2, "outputs": None, "depth": 2, "width": 5} | settings
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MLP(**settings).double()


def points(n: int, *shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *shape, dtype=torch.float64, generator=generator)


def architecture(name: str, *overrides: str) -> dict[str, Any]:
    return node_of("architecture", name, *overrides)


# Linear layers and initialisation


def test_equalized_linear_is_a_linear_layer_with_scaled_weights() -> None:
    layer = EqualizedLinear(7, 3, gain=math.sqrt(2)).double()
    x = points(11, 7)
    scaled = layer.weight * math.sqrt(2 / 7)
    assert layer.bias is not None
    torch.testing.assert_close(layer(x), functional.linear(x, scaled, layer.bias), rtol=0, atol=0)
    (gradient,) = torch.autograd.grad(layer(x).sum(), layer.weight)
    by_hand = x.sum(0).expand(3, 7) * math.sqrt(2 / 7)
    torch.testing.assert_close(gradient, by_hand, rtol=1e-12, atol=1e-12)


def test_equalized_linear_stores_unit_normals_and_gives_outputs_of_variance_gain_squared() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = EqualizedLinear(400, 500, gain=1.5).double()
    assert layer.bias is not None
    assert not layer.bias.any()
    assert stats.kstest(layer.weight.detach().flatten().numpy(), "norm").pvalue > 0.01
    # Given x, each output is N(0, gain^2 |x|^2 / inputs): 500 of them give a chi-squared variable.
    x = points(1, 400)
    variance = 1.5**2 * x.square().sum() / 400
    statistic = (layer(x).square().sum() / variance).item()
    assert 0.001 < stats.chi2(500).cdf(statistic) < 0.999


UNIFORM_BOUNDS = {  # (init, last): bound, as a function of fan_in and fan_out
    ("default", False): lambda i, o: 1 / math.sqrt(i),
    ("he_uniform", False): lambda i, o: math.sqrt(6 / i),
    ("he_uniform", True): lambda i, o: math.sqrt(6 / (i + o)),
    ("glorot_uniform", False): lambda i, o: math.sqrt(6 / (i + o)),
}
NORMAL_STDS = {
    ("he_normal", False): lambda i, o: math.sqrt(2 / i),
    ("he_normal", True): lambda i, o: math.sqrt(2 / (i + o)),
}


@pytest.mark.parametrize(("init", "last"), [*UNIFORM_BOUNDS, *NORMAL_STDS])
def test_initial_weights_follow_their_distribution(init: str, last: bool) -> None:
    inputs, outputs = 150, 250
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.Linear(inputs, outputs)
        layers.initialize(layer, init, last=last)  # type: ignore[arg-type]
    weights = layer.weight.detach().double().flatten()
    if (init, last) in UNIFORM_BOUNDS:
        bound = UNIFORM_BOUNDS[init, last](inputs, outputs)
        assert weights.abs().max() <= bound * (1 + 1e-6)
        distribution: Any = stats.uniform(-bound, 2 * bound)
    else:
        distribution = stats.norm(0, NORMAL_STDS[init, last](inputs, outputs))
    assert stats.kstest(weights.numpy(), distribution.cdf).pvalue > 0.01
    assert layer.bias.any() == (init == "default")


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_orthogonal_weights_are_an_isometry_times_the_gain(shape: tuple[int, int]) -> None:
    layer = nn.Linear(shape[1], shape[0]).double()
    layers.initialize(layer, "orthogonal", gain=1.7)
    singular = torch.linalg.svdvals(layer.weight.detach())
    torch.testing.assert_close(singular, torch.full((4,), 1.7, dtype=torch.float64))


def test_he_networks_draw_their_last_layer_after_glorot() -> None:
    net = make(width=300, outputs=200, depth=1, init="he_uniform")
    weight = net.output.weight
    assert isinstance(weight, Tensor)
    assert weight.abs().max().item() == pytest.approx(math.sqrt(6 / 500), rel=1e-3)
    assert not any(p.any() for name, p in net.named_parameters() if name.endswith("bias"))


def test_default_initialisation_is_pytorchs_own_network_draw_for_draw() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = nn.Sequential(
            nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 1)
        )
    ours = make(seed=3, width=6, activation="tanh")
    x = points(9, 2)
    torch.testing.assert_close(ours(x), theirs.double()(x)[:, 0], rtol=0, atol=0)


# The network as a function


def test_plain_network_is_the_product_of_its_matrices() -> None:
    net = make(outputs=3, activation="tanh")
    (w0, b0, w1, b1, w2, b2), x = net.parameters(), points(7, 2)
    by_hand = torch.tanh(torch.tanh(x @ w0.T + b0) @ w1.T + b1) @ w2.T + b2
    torch.testing.assert_close(net(x), by_hand, rtol=1e-13, atol=1e-13)


def test_concatenating_network_feeds_each_layer_all_that_came_before() -> None:
    net = make(outputs=3, connection="concatenate")
    (w0, b0, w1, b1, w2, b2), x = net.parameters(), points(7, 2)
    assert [w.shape for w in (w0, w1, w2)] == [(5, 2), (5, 2 + 5), (3, 2 + 5 + 5)]
    y0 = torch.relu(x @ w0.T + b0)
    # The product with a concatenation is the sum of the products with its parts.
    y1 = torch.relu(x @ w1[:, :2].T + y0 @ w1[:, 2:].T + b1)
    by_hand = x @ w2[:, :2].T + y0 @ w2[:, 2:7].T + y1 @ w2[:, 7:].T + b2
    torch.testing.assert_close(net(x), by_hand, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("init", "gain"), [("equalized", math.sqrt(2)), ("equalized_lecun", 1.0)])
def test_equalized_network_is_a_plain_one_with_scaled_weights(init: str, gain: float) -> None:
    net, plain = make(init=init), make()
    gains = {f"hidden.{i}.linear.weight": gain / math.sqrt(seen) for i, seen in ((0, 2), (1, 5))}
    gains["output.weight"] = math.sqrt(1 / 5)
    scaled = {name: p * gains.get(name, 1.0) for name, p in net.named_parameters()}
    x = points(7, 2)
    torch.testing.assert_close(net(x), functional_call(plain, scaled, (x,)), rtol=0, atol=1e-14)


def test_a_relu_network_with_lecuns_constant_begins_with_smaller_values_than_with_hes() -> None:
    he, lecun = (make(init=init, depth=4, width=64) for init in ("equalized", "equalized_lecun"))
    for a, b in zip(he.parameters(), lecun.parameters(), strict=True):
        assert torch.equal(a, b)
    x = points(50, 2)
    torch.testing.assert_close(he(x), 4 * lecun(x), rtol=1e-12, atol=0)  # sqrt(2) a hidden layer
    selu = [make(init=i, activation="selu") for i in ("equalized", "equalized_lecun")]
    assert torch.equal(selu[0](x), selu[1](x))


def test_layer_norm_stands_between_linear_and_activation() -> None:
    net = make(depth=1, norm="layer")
    x = points(7, 2)
    w0, b0, scale, shift, w1, b1 = net.parameters()
    h = x @ w0.T + b0
    h = (h - h.mean(1, keepdim=True)) / (h.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    by_hand = torch.relu(scale * h + shift) @ w1[0] + b1
    torch.testing.assert_close(net(x), by_hand, rtol=1e-12, atol=1e-12)


def test_depth_zero_is_a_linear_map_with_the_weight_as_gradient() -> None:
    net = make(depth=0, bias=False)
    (weight,) = net.parameters()
    x = points(4, 2).requires_grad_()
    torch.testing.assert_close(net(x), x @ weight[0], rtol=1e-14, atol=1e-14)
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    torch.testing.assert_close(gradient, weight.expand(4, 2))
    assert make(depth=0)(torch.zeros(3, 2, dtype=torch.float64)).abs().min() > 0  # its bias


def test_a_discriminator_gives_one_number_per_sample_and_a_generator_a_vector() -> None:
    x = points(6, 2)
    assert make(outputs=None)(x).shape == (6,)
    assert make(outputs=1)(x).shape == (6, 1)
    assert make(outputs=4)(x).shape == (6, 4)
    assert make()(x[:1]).shape == (1,)


def test_images_are_flattened_in_the_order_of_their_pixels() -> None:
    net, x = make(inputs=12), points(6, 3, 2, 2)
    torch.testing.assert_close(net(x), net(x.reshape(6, 12)), rtol=0, atol=0)


@pytest.mark.parametrize("depth", [0, 1, 4])
@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_parameter_counts_are_those_of_the_formula(depth: int, norm: str) -> None:
    if depth == 0 and norm != "none":
        with pytest.raises(ValueError, match=f"norm={norm}: .*depth 0"):
            make(depth=depth, norm=norm)
        return
    i, w, o, d = 2, 5, 3, depth
    norms = 2 * w * d if norm != "none" else 0
    settings: dict[str, Any] = {"inputs": i, "outputs": o, "width": w, "depth": d, "norm": norm}
    for bias in (True, False):
        plain = (i * w + (d - 1) * w * w + w * o if d else i * o) + norms + bias * (d * w + o)
        dense = d * i * w + w * w * d * (d - 1) // 2 + (i + d * w) * o + norms + bias * (d * w + o)
        for connection, count in {"plain": plain, "concatenate": dense}.items():
            for init in ("default", "equalized", "equalized_lecun"):
                net = make(**settings, bias=bias, connection=connection, init=init)
                assert sum(p.numel() for p in net.parameters()) == count


def test_layer_norm_leaves_samples_alone_and_batch_norm_couples_them() -> None:
    x = points(6, 2)
    moved = x.clone()
    moved[0] += 1
    independent, coupled = make(norm="layer"), make(norm="batch")
    assert torch.equal(independent(x)[1:], independent(moved)[1:])
    assert (coupled(x)[1:] != coupled(moved)[1:]).all()


def test_batch_norm_keeps_no_statistics_and_is_the_same_function_in_evaluation() -> None:
    net, x = make(norm="batch"), points(6, 2)
    assert not list(net.buffers())
    trained = net.train()(x)
    assert torch.equal(trained, net.eval()(x))


# Pure enough for torch.func


@pytest.mark.parametrize("settings", VARIANTS)
def test_gradient_penalty_through_torch_func_equals_plain_autograd(settings: Any) -> None:
    net, x = make(**settings), points(8, 2)
    parameters = dict(net.named_parameters())

    def penalty(p: dict[str, Tensor]) -> Tensor:
        slope = grad(lambda y: functional_call(net, p, (y,)).sum())(x)
        return slope.square().sum(1).mean()

    ours = grad(penalty)({name: p.detach() for name, p in parameters.items()})
    y = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(net(y).sum(), y, create_graph=True)
    theirs = torch.autograd.grad(
        slope.square().sum(1).mean(),
        list(parameters.values()),
        allow_unused=True,
        materialize_grads=True,
    )
    for name, expected in zip(parameters, theirs, strict=True):
        torch.testing.assert_close(ours[name], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("settings", VARIANTS)
def test_replicas_stacked_with_vmap_are_the_networks_one_by_one(settings: Any) -> None:
    nets = [make(seed=seed, **settings) for seed in range(3)]
    parameters, buffers = stack_module_state(nets)
    x = points(3, 8, 2)
    template = make(**settings).to("meta")

    def value_and_slope(p: Any, b: Any, y: Tensor) -> tuple[Tensor, Tensor]:
        def f(t: Tensor) -> Tensor:
            return functional_call(template, (p, b), (t,))

        return f(y), grad(lambda t: f(t).square().sum())(y)

    values, slopes = vmap(value_and_slope)(parameters, buffers, x)
    for net, y, value, slope in zip(nets, x, values, slopes, strict=True):
        y = y.clone().requires_grad_()
        torch.testing.assert_close(value, net(y), rtol=1e-12, atol=1e-12)
        (expected,) = torch.autograd.grad(net(y).square().sum(), y)
        torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("connection", ["plain", "concatenate"])
def test_an_input_is_not_written_to(connection: str) -> None:
    x = points(4, 2)
    before = x.clone()
    make(connection=connection)(x)
    assert torch.equal(x, before)


@pytest.mark.seconds
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_a_compiled_gradient_penalty_is_the_eager_one_in_one_graph() -> None:
    net = make(activation="softplus_elu", connection="concatenate", norm="layer", init="equalized")
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def penalty(p: dict[str, Tensor], x: Tensor) -> Tensor:
        slope = grad(lambda y: functional_call(net, p, (y,)).sum())(x)
        return slope.square().sum(1).mean()

    x = points(8, 2)
    compiled = torch.compile(grad(penalty), fullgraph=True)(parameters, x)
    torch.testing.assert_close(compiled, grad(penalty)(parameters, x), rtol=1e-12, atol=1e-12)


def test_identity_generator_hands_its_latent_on_and_has_nothing_to_train() -> None:
    generator, z = Identity(), points(5, 2)
    assert generator(z) is z
    assert not list(generator.parameters())


# Configs


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture_files_build_networks_that_fit_each_other(name: str) -> None:
    node = architecture(name)
    encoder = ["encoder"] if name.endswith("_encoder") else []
    takes_latents = [] if name.startswith(("fixed_", "two_points")) else ["latent_dim"]
    assert set(node) == {*KEYS, *takes_latents, *encoder}
    assert node["name"] == name
    rng = torch.Generator().manual_seed(0)
    latent = instantiate(node["latent"], "architecture.latent").prepare(rng)
    generator = instantiate(node["generator"], "architecture.generator")
    discriminator = instantiate(node["discriminator"], "architecture.discriminator")
    assert latent.shape == (node.get("latent_dim", 2),)
    fakes = generator(latent.draw(rng, 5, real=torch.randn(5, 2, generator=rng)))
    assert fakes.shape == (5, 2)
    assert discriminator(fakes).shape == (5,)
    assert discriminator(fakes).isfinite().all()
    if encoder:
        assert instantiate(node["encoder"], "architecture.encoder")(fakes).shape == (
            5,
            *latent.shape,
        )


def test_the_fixed_fakes_of_zero_gp_fig1_are_100_samples_of_the_papers_gaussian() -> None:
    latent = instantiate(architecture("fixed_gaussian")["latent"], "architecture.latent")
    assert latent.size == 100
    x = points(20, 2)
    paper = stats.multivariate_normal([1.3, 1.2], [[1, 0.7], [0.7, 1]])
    torch.testing.assert_close(latent.log_density(x), torch.as_tensor(paper.logpdf(x.numpy())))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_key_of_the_architecture_sets_both_nets_and_a_key_of_a_net_only_that_one(
    name: str,
) -> None:
    both = architecture(name, "architecture.width=17", "architecture.depth=1")
    nets = [both["discriminator"]]
    if both["generator"]["_target_"].endswith(".MLP"):
        nets.append(both["generator"])
        alone = architecture(name, "architecture.discriminator.width=17")
        assert alone["discriminator"]["width"] == 17
        assert alone["generator"]["width"] == alone["width"] != 17
    assert all((net["width"], net["depth"]) == (17, 1) for net in nets)
    weight = instantiate(nets[0], "architecture.discriminator").output.weight
    assert weight.shape == (1, 2 + 17 if both["connection"] == "concatenate" else 17)


def test_paper_sized_networks_have_the_papers_numbers_of_parameters() -> None:
    def size(name: str) -> int:
        net = instantiate(architecture(name)["discriminator"], "architecture.discriminator")
        return sum(p.numel() for p in net.parameters())

    assert size("mlp") == size("noisy_data") == 3 * 512 + 2 * (513 * 512) + 513
    assert size("mlp_tanh_64") == size("fixed_gaussian") == 3 * 64 + 65 * 64 + 65
    assert size("mlp_zero_gp") == 3 * 512 + 513 * 512 + 513
    assert size("mlp_selu") == 3 * 128 + 63 * (129 * 128) + 129
    assert size("mlp_dense") == sum((3 + 256 * i) * 256 for i in range(8)) + 3 + 8 * 256
    assert size("linear") == 3


def test_a_wrong_key_or_value_of_a_network_ends_in_one_sentence() -> None:
    node = architecture("mlp")["discriminator"]
    for wrong, sentence in [
        ({"width": 0}, r"architecture\.discriminator\.width=0: must be at least 1"),
        ({"activation": "swish"}, r"architecture\.discriminator\.activation=swish: .*relu"),
        ({"growth": 3}, r"architecture\.discriminator\.growth: no such key; choose from .*inputs"),
        ({"depth": 0, "norm": "layer"}, r"architecture\.discriminator\.norm=layer: .*depth 0"),
    ]:
        with pytest.raises(BadInput, match=sentence):
            instantiate(node | wrong, "architecture.discriminator")
