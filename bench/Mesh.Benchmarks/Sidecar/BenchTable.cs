using System.Globalization;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>The samples of one cell by pair and measure, in the order of the repetitions.</summary>
internal sealed class BenchTable(string part, int bytes, int inFlight)
{
    private readonly Dictionary<(string Pair, string Measure), List<double>> _samples = [];

    public void Add(string pair, string measure, double value)
    {
        if (!_samples.TryGetValue((pair, measure), out var samples))
        {
            _samples[(pair, measure)] = samples = [];
        }

        samples.Add(value);
    }

    /// <summary>A line a pair and measure; ratios are those of the same repetition, for what else the machine did weighs on both.</summary>
    public void Print(string baseline)
    {
        foreach (var ((pair, measure), samples) in _samples)
        {
            double[] ratios = _samples.TryGetValue((baseline, measure), out var those) && pair != baseline
                ? [.. samples.Zip(those).Where(p => p.Second > 0).Select(p => p.First / p.Second).Order()]
                : [];
            var over = ratios.Length == 0 ? ",,," : string.Create(CultureInfo.InvariantCulture, $",{Median(ratios):F2},{ratios[0]:F2},{ratios[^1]:F2}");
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{part},{bytes},{inFlight},{pair},{measure},{Median(samples):F1},{samples.Min():F1},{samples.Max():F1}{over}"));
        }
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
