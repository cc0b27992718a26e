"""The local Wiener filter on signal of known strength in known places."""

import pytest
import torch

from cryoarena.methods.local_wiener import chance, lengths, local_wiener, smoothed

BOX_PX = 32


@pytest.fixture
def halves() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make signal in one half of the box, and noise of the same power everywhere, both white up to the band's edge."""
    generator = torch.Generator().manual_seed(0)
    signal, *noise = torch.randn((3, 6, BOX_PX, BOX_PX, BOX_PX), generator=generator)
    signal[..., : BOX_PX // 2] = 0
    k = torch.fft.fftfreq(BOX_PX, 1 / BOX_PX)
    inside = k[:, None, None] ** 2 + k[:, None] ** 2 + k[: BOX_PX // 2 + 1] ** 2 < 14**2
    signal, a, b = (
        torch.fft.irfftn(torch.fft.rfftn(v, dim=(1, 2, 3)) * inside, dim=(1, 2, 3)) for v in (signal, *noise)
    )
    return signal, signal + a, signal + b


def test_signal_passes_by_its_share_and_noise_is_left_out(
    halves: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    signal, a, b = halves
    equal = torch.ones(6)
    filtered = local_wiener(a, b, equal, equal, torch.ones((BOX_PX,) * 3))
    inside, outside = slice(20, 28), slice(4, 12)
    kept = (filtered.maps * signal)[..., inside].sum() / (signal**2)[..., inside].sum()
    # The mean of two halves has signal 1 and noise 1/2.
    assert float(kept) == pytest.approx(1 / (1 + 0.5), abs=0.05)
    assert float(filtered.maps[..., outside].std()) < 0.2 * float(((a + b) / 2)[..., outside].std())
    error = (filtered.maps - signal).square().mean()
    assert error < 0.8 * ((a + b) / 2 * (2 / 3 * 0.5) / 0.5 - signal).square().mean()
    assert float(filtered.gain[:, 2:14].mean()) == pytest.approx(0.5 * 2 / 3, abs=0.08)


def test_a_map_without_images_is_empty_and_one_with_few_is_weaker(
    halves: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    _, a, b = halves
    a[0] = b[0] = 0
    weight = torch.tensor([0.0, 0.1, 1.0, 1.0, 1.0, 1.0])
    # Noise goes as one over the weight.
    a[1], b[1] = a[2] + (a[1] - a[2]) / 0.1**0.5, b[2] + (b[1] - b[2]) / 0.1**0.5
    filtered = local_wiener(a, b, weight, weight, torch.ones((BOX_PX,) * 3))
    assert torch.isfinite(filtered.maps).all()
    assert not filtered.maps[0].any()
    assert (filtered.gain[1] < 0.5 * filtered.gain[2]).all()


def test_a_map_of_both_half_sets_is_filtered_by_what_these_have_in_common(
    halves: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    signal, a, b = halves
    equal, everywhere = torch.ones(6), torch.ones((BOX_PX,) * 3)
    mean = local_wiener(a, b, equal, equal, everywhere)
    torch.testing.assert_close(local_wiener(a, b, equal, equal, everywhere, (a + b) / 2).maps, mean.maps)
    clean = local_wiener(a, b, equal, equal, everywhere, signal)
    torch.testing.assert_close(clean.gain, mean.gain)
    assert (clean.maps - 2 / 3 * signal).std() < 0.2 * signal.std()


def test_halves_with_nothing_in_common_leave_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn((2, 4, BOX_PX, BOX_PX, BOX_PX), generator=generator)
    filtered = local_wiener(a, b, torch.ones(4), torch.ones(4), torch.ones((BOX_PX,) * 3))
    assert float(filtered.maps.std()) < 0.15 * float(((a + b) / 2).std())
    assert float(filtered.correlation[2:].abs().max()) < 0.1


def test_noise_of_one_map_is_let_through_less_where_its_own_signal_has_to_exceed_chance() -> None:
    generator = torch.Generator().manual_seed(2)
    a, b = torch.randn((2, 1, BOX_PX, BOX_PX, BOX_PX), generator=generator)
    one, everywhere = torch.ones(1), torch.ones((BOX_PX,) * 3)
    plain, strict = (local_wiener(a, b, one, one, everywhere, own=own).maps.std() for own in (0.0, 1.0))
    assert float(strict) < 0.6 * float(plain)


def test_maps_with_signal_in_other_places_are_filtered_by_their_own(
    halves: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    same = halves
    other = tuple(torch.cat([each[:3], each[3:].flip(3)]) for each in halves)
    equal, everywhere = torch.ones(6), torch.ones((BOX_PX,) * 3)

    def error(of: tuple[torch.Tensor, ...], own: float) -> float:
        signal, a, b = of
        return float((local_wiener(a, b, equal, equal, everywhere, own=own).maps - signal).square().mean())

    assert error(other, 0.75) < 0.9 * error(other, 0.0)
    assert error(same, 0.75) < 1.02 * error(same, 0.0)


def test_chance_is_how_much_the_product_of_noise_scatters() -> None:
    generator = torch.Generator().manual_seed(3)
    length = lengths(BOX_PX, torch.device("cpu"))
    window = (1 - (length - 8).abs() / 4).clamp(min=0)
    blur = torch.exp(-2 * (torch.pi * 3 * length / BOX_PX) ** 2)
    noise = torch.randn((2, 20, BOX_PX, BOX_PX, BOX_PX), generator=generator)
    bands = torch.fft.irfftn(torch.fft.rfftn(noise, dim=(2, 3, 4)) * window, s=(BOX_PX,) * 3)
    products = [smoothed(a * b, blur) for a, b in zip(*(bands / bands.std()), strict=True)]
    assert chance(window, blur) == pytest.approx(float(torch.stack(products).std()), rel=0.1)
