using System.Text.Json;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>grpc-js on both sides, which knows nothing of xDS here: plain addresses, plain credentials.</summary>
[Collection(SharedPodsGroup.Name)]
public sealed class GrpcTests(SharedPods pods)
{
    [Theory]
    [InlineData("hello", false)]
    [InlineData("hello", true)]
    [InlineData("down", false)]
    [InlineData("up", false)]
    [InlineData("both", false)]
    public async Task Call_OfEveryKind_MessagesMetadataAndDeadlineArrive(string kind, bool ipV6)
    {
        var result = await CallAsync(kind, ipV6);

        string[] expected = kind switch
        {
            "down" => [.. Enumerable.Range(0, 100).Select(i => $"message {i}")],
            "up" => ["10 messages, 1000000 bytes"],
            "both" => ["echo 0", "echo 1", "echo 2", "echo 3", "echo 4"],
            _ => ["hello"],
        };
        Assert.Equal(expected, result.GetProperty("messages").EnumerateArray().Select(m => m.GetString()));
        Assert.Equal(0, result.GetProperty("status").GetInt32());
        Assert.Equal("spiffe://cluster.local/ns/pods/sa/web", result.GetProperty("headers").GetProperty("x-caller").GetString());
        Assert.Equal("this", result.GetProperty("headers").GetProperty("x-asked").GetString());
        Assert.Equal("0001ff", result.GetProperty("bytes").GetString());

        // The server counts down from the client's 30 s.
        Assert.InRange(int.Parse(result.GetProperty("left").GetString()!, System.Globalization.CultureInfo.InvariantCulture), 1, 30);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(9)]
    [InlineData(16)]
    public async Task ErrorStatus_ArrivesWithDetailsAndTrailers(int code)
    {
        var result = await CallAsync($"fail {code}", false);

        Assert.Equal(code, result.GetProperty("status").GetInt32());
        Assert.Equal("as asked: größer", result.GetProperty("details").GetString());
        Assert.True(result.TryGetProperty("left", out _));
    }

    [Fact]
    public async Task Deadline_ThatPasses_EndsTheCall()
    {
        var result = await CallAsync("hang", false);

        Assert.Equal(4, result.GetProperty("status").GetInt32());
    }

    private async Task<JsonElement> CallAsync(string kind, bool ipV6)
    {
        var output = await pods.Mesh["web"].RunAsync(Programs.Node, Programs.App("client.js"), "grpc", $"{SharedPods.Address("store", ipV6)}:{SharedPods.Grpc}", kind);
        using var result = JsonDocument.Parse(output);
        return result.RootElement.Clone();
    }
}
