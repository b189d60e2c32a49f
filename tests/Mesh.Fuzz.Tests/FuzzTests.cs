using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using Xunit;

namespace Mesh.Fuzz.Tests;

/// <summary>Every target for a bounded number of inputs, always the same ones; <c>eng/fuzz</c> goes on for longer, with other seeds.</summary>
public sealed class FuzzTests
{
    private const int Seed = 20_261_129;

    /// <summary>Set by eng/fuzz.</summary>
    private static readonly double? _seconds = Number("MESH_FUZZ_SECONDS");

    internal static IReadOnlyList<IFuzzTarget> Targets { get; } =
    [
        .. typeof(FuzzTests).Assembly.GetTypes()
            .Where(t => t.IsAssignableTo(typeof(IFuzzTarget)) && !t.IsAbstract && t.GetConstructor(Type.EmptyTypes) is not null && t.Namespace == typeof(Targets.SpiffeIdTarget).Namespace)
            .Select(t => (IFuzzTarget)Activator.CreateInstance(t)!)
            .OrderBy(t => t.Name, StringComparer.Ordinal),
    ];

    public static TheoryData<string> Names => [.. Targets.Select(t => t.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Target_AnyInput_KeepsWhatMustHold(string name)
    {
        var wanted = (Environment.GetEnvironmentVariable("MESH_FUZZ_TARGETS") ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.SkipWhen(wanted.Length > 0 && !wanted.Contains(name), "Not asked for.");
        var target = Targets.Single(t => t.Name == name);
        if (Environment.GetEnvironmentVariable("MESH_FUZZ_INPUT") is { } hex)
        {
            target.Run(Convert.FromHexString(hex));
            return;
        }

        var fuzzer = new Fuzzer(target, (int)(Number("MESH_FUZZ_SEED") ?? Seed));
        var watch = Stopwatch.StartNew();
        var running = Task.Run(() => fuzzer.Run(tried => _seconds is { } seconds ? watch.Elapsed.TotalSeconds < seconds : tried < target.Iterations), TestContext.Current.CancellationToken);
        using var look = new PeriodicTimer(TimeSpan.FromSeconds(1));
        while (!running.IsCompleted)
        {
            await Task.WhenAny(running, look.WaitForNextTickAsync(TestContext.Current.CancellationToken).AsTask());
            if (fuzzer.Hanging is { } input)
            {
                Assert.Fail(new FuzzFailure(name, fuzzer.Seed, fuzzer.Count, input, $"is still reading after {fuzzer.LongestRun.TotalSeconds:0} s").ToString());
            }
        }

        var failure = await running;
        if (_seconds is not null)
        {
            await Console.Out.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture, $"{name,-20} seed {fuzzer.Seed}: {fuzzer.Count} inputs, {fuzzer.Count / watch.Elapsed.TotalSeconds:0}/s, {fuzzer.Outcomes} outcomes"));
        }

        Assert.True(failure is null, failure?.ToString());
        Assert.True(fuzzer.Outcomes > 1, "All inputs end alike: the corpus or the mutations do not reach what is to be tested.");
    }

    [Fact]
    public void Targets_Names_AreUnique() => Assert.Equal(Targets.Count, Targets.Select(t => t.Name).Distinct().Count());

    [Fact]
    public void Targets_All_AreFound() =>
        Assert.Equal(
            Assembly.GetExecutingAssembly().GetTypes().Count(t => t.IsAssignableTo(typeof(IFuzzTarget)) && !t.IsAbstract && t.DeclaringType is null),
            Targets.Count);

    private static double? Number(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? double.Parse(text, CultureInfo.InvariantCulture) : null;
}
