using System.Formats.Asn1;
using Mesh.Fuzz.Tests.Targets;
using Xunit;

namespace Mesh.Fuzz.Tests;

/// <summary>That the fuzzer finds what it should: a fuzzer that finds nothing looks like code without bugs.</summary>
public sealed class FuzzerTests
{
    [Fact]
    public void Run_ReaderWithABug_FindsAndShrinksIt()
    {
        var failure = new Fuzzer(new Buggy(), 1).Run(tried => tried < 200_000);

        Assert.NotNull(failure);
        Assert.Equal("}{"u8.ToArray(), failure.Input);
        Assert.Contains("IndexOutOfRangeException", failure.What, StringComparison.Ordinal);
        Assert.Contains("eng/fuzz --input 7d7b buggy", failure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Run_SameSeed_TriesTheSame()
    {
        var (first, second, other) = (new Recording(), new Recording(), new Recording());
        new Fuzzer(first, 7).Run(tried => tried < 500);
        new Fuzzer(second, 7).Run(tried => tried < 500);
        new Fuzzer(other, 8).Run(tried => tried < 500);

        Assert.Equal(first.Seen, second.Seen);
        Assert.NotEqual(first.Seen, other.Seen);
    }

    [Fact]
    public async Task Hanging_ReaderThatDoesNotEnd_IsTold()
    {
        using var release = new ManualResetEventSlim();
        var fuzzer = new Fuzzer(new Waiting(release), 1) { LongestRun = TimeSpan.FromMilliseconds(100) };
        var running = Task.Run(() => fuzzer.Run(_ => false), TestContext.Current.CancellationToken);

        await Mesh.Testing.Eventually.Async(() => fuzzer.Hanging is not null, "it is seen to hang", TimeSpan.FromSeconds(30));
        Assert.Equal("x"u8.ToArray(), fuzzer.Hanging);
        release.Set();

        Assert.Contains("allowed are 0.1 s", (await running)!.What, StringComparison.Ordinal);
    }

    /// <summary>Elements are taken out, put, moved; what is left is DER still, so that readers look into it.</summary>
    [Fact]
    public void DerMutation_Certificate_StaysReadableOften()
    {
        var certificate = new CertificateNamesTarget().Corpus[0];
        var random = new Random(1);

        var readable = Enumerable.Range(0, 300).Count(each =>
        {
            var mutated = DerMutation.Instance.Apply(certificate, random);
            return AsnDecoder.TryReadEncodedValue(mutated, AsnEncodingRules.DER, out _, out _, out var length, out var consumed) && consumed == mutated.Length && length > 0;
        });

        Assert.True(readable > 250, $"{readable} of 300");
    }

    [Fact]
    public void ProtobufMutation_Resource_StaysAMessageOften()
    {
        var resource = GoldenManifests.Resources[0].Bytes.ToByteArray();
        var random = new Random(1);

        var readable = Enumerable.Range(0, 300).Count(_ =>
        {
            try
            {
                Mesh.Protos.Envoy.Listener.Listener.Parser.ParseFrom(ProtobufMutation.Instance.Apply(resource, random));
                return true;
            }
            catch (Google.Protobuf.InvalidProtocolBufferException)
            {
                return false;
            }
        });

        Assert.True(readable > 200, $"{readable} of 300");
    }

    /// <summary>Fails when a closing brace stands right before an opening one.</summary>
    private sealed class Buggy : IFuzzTarget
    {
        public string Name => "buggy";

        public IReadOnlyList<byte[]> Corpus { get; } = ["{a}"u8.ToArray(), "{b}"u8.ToArray()];

        public IReadOnlyList<IMutation> Mutations { get; } = [new TextMutation("{", "}", "a")];

        public string Run(byte[] input)
        {
            var close = Array.IndexOf(input, (byte)'}');
            return close >= 0 && close + 1 < input.Length && input[close + 1] == '{' ? $"{input[input.Length]}" : $"{close}";
        }
    }

    private sealed class Recording : IFuzzTarget
    {
        public string Name => "recording";

        public List<string> Seen { get; } = [];

        public IReadOnlyList<byte[]> Corpus { get; } = ["some text"u8.ToArray()];

        public IReadOnlyList<IMutation> Mutations { get; } = [new TextMutation("word")];

        public string Run(byte[] input)
        {
            Seen.Add(Convert.ToHexString(input));
            return $"{input.Length}";
        }
    }

    private sealed class Waiting(ManualResetEventSlim release) : IFuzzTarget
    {
        public string Name => "waiting";

        public IReadOnlyList<byte[]> Corpus { get; } = ["x"u8.ToArray()];

        public IReadOnlyList<IMutation> Mutations { get; } = [];

        public string Run(byte[] input)
        {
            release.Wait();
            return "";
        }
    }
}
