using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

public sealed class FaultsApiTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mesh-faults-");
    private TestControlPlane _controlPlane = null!;
    private HttpClient _api = null!;

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "config"));
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "config", "shop.yaml"), $"{Manifests.Service("cart")}\n---\n{Manifests.Slice("cart", "10.0.0.1")}\n---\n{Manifests.Service("pricing")}", TestContext.Current.CancellationToken);
        await OpenAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Add_IsInForceShownAndNoted_OutlivesARestart_AndIsEndedByItsId()
    {
        var added = await AddAsync(new { @namespace = "shop", service = "cart", delay_ms = 200, seconds = 600 });
        Assert.Equal(HttpStatusCode.OK, added.Status);
        Assert.Equal("+200ms for 100 %", added.Body["text"]!.GetValue<string>());

        await Eventually.Async(async () => (await FaultsAsync()).Count == 1, "the fault is in force");
        var fault = (await FaultsAsync())[0]!;
        Assert.Equal((true, "admin", "cart"), (fault["temporary"]!.GetValue<bool>(), fault["by"]!.GetValue<string>(), fault["service"]!.GetValue<string>()));
        var overview = await GetAsync("/api/v1/overview");
        var cart = overview["services"]!.AsArray().Single(s => s!["name"]!.GetValue<string>() == "cart")!;
        Assert.Contains("fault", cart["reasons"]!.AsArray().Select(r => r!["code"]!.GetValue<string>()));
        Assert.Equal(1, cart["faults"]!.GetValue<int>());
        await Eventually.Async(async () => (await GetAsync("/api/v1/changes"))["items"]!.AsArray().Any(
            c => c!["kind"]!.GetValue<string>() == "fault" && c["service"]?.GetValue<string>() == "cart" && c["what"]!.GetValue<string>().EndsWith("added: +200ms for 100 %", StringComparison.Ordinal)), "the change is noted");

        await CloseAsync();
        await OpenAsync();
        Assert.Equal(fault["expires_at"]!.GetValue<DateTimeOffset>(), Assert.Single(await FaultsAsync())!["expires_at"]!.GetValue<DateTimeOffset>());

        using var ended = await _api.DeleteAsync($"/api/v1/faults/{fault["id"]}", TestContext.Current.CancellationToken);
        using var again = await _api.DeleteAsync($"/api/v1/faults/{fault["id"]}", TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.NotFound), (ended.StatusCode, again.StatusCode));
        await Eventually.Async(async () => (await FaultsAsync()).Count == 0, "the fault is over");
    }

    [Fact]
    public async Task Add_EndsByItself()
    {
        await AddAsync(new { @namespace = "shop", service = "cart", abort_status = 503, abort_percent = 50, seconds = 1 });

        await Eventually.Async(async () => (await GetAsync("/api/v1/changes"))["items"]!.AsArray().Any(c => c!["what"]!.GetValue<string>().EndsWith("removed", StringComparison.Ordinal)), "it came and went", TimeSpan.FromSeconds(30));
        Assert.Empty(await FaultsAsync());
    }

    [Fact]
    public async Task Add_WhereAnOperatorsPolicyStands_IsRefusedAndNamesIt()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "config", "slow.yaml"), """
            apiVersion: policy.meshlib.io/v1alpha1
            kind: FaultPolicy
            metadata: {name: slow, namespace: shop}
            spec:
              targetRefs: [{kind: Service, group: "", name: cart}]
              expiresAt: Never
              delay: {fixed: 1s}
            """, TestContext.Current.CancellationToken);
        await Eventually.Async(async () => (await FaultsAsync()).Count == 1, "the operator's fault is in force");
        Assert.False((await FaultsAsync())[0]!["temporary"]!.GetValue<bool>());

        var (status, body) = await AddAsync(new { @namespace = "shop", service = "cart", delay_ms = 1, seconds = 1 });

        Assert.Equal(HttpStatusCode.Conflict, status);
        Assert.Contains("shop/slow", body["detail"]!.GetValue<string>(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"namespace":"shop","service":"cart","delay_ms":5}""", 400)]
    [InlineData("""{"namespace":"shop","service":"cart","delay_ms":5,"seconds":0}""", 400)]
    [InlineData("""{"namespace":"shop","service":"cart","delay_ms":5,"seconds":3601}""", 400)]
    [InlineData("""{"namespace":"shop","service":"cart","seconds":5}""", 400)]
    [InlineData("""{"namespace":"shop","service":"cart","delay_ms":0,"seconds":5}""", 400)]
    [InlineData("""{"namespace":"shop","service":"cart","abort_status":99,"seconds":5}""", 400)]
    [InlineData("""{"namespace":"shop","service":"cart","abort_status":500,"grpc_status":14,"seconds":5}""", 400)]
    [InlineData("""{"namespace":"shop","service":"cart","abort_status":500,"abort_percent":101,"seconds":5}""", 400)]
    [InlineData("""{"namespace":"shop","service":"cart: {x: y}","delay_ms":5,"seconds":5}""", 400)]
    [InlineData("""{"namespace":"shop","service":"nobody","delay_ms":5,"seconds":5}""", 404)]
    [InlineData("""{"service":"cart","delay_ms":5,"seconds":5}""", 400)]
    public async Task Add_Wrong_SaysWhatIs(string body, int status)
    {
        using var answer = await _api.PostAsync("/api/v1/faults", new StringContent(body, System.Text.Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.NotEmpty(JsonNode.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["detail"]!.GetValue<string>());
        Assert.Empty(await FaultsAsync());
    }

    [Fact]
    public async Task Stream_TellsTopicsWhenTheyChange()
    {
        using var response = await _api.GetAsync("/api/v1/stream?topics=faults,overview", HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        Assert.Equal("""{"items":[]}""", await EventAsync(reader, "faults"));
        Assert.Contains("\"status\"", await EventAsync(reader, "overview"), StringComparison.Ordinal);

        await AddAsync(new { @namespace = "shop", service = "cart", delay_ms = 200, seconds = 600 });

        Assert.Contains("+200ms", await EventAsync(reader, "faults"), StringComparison.Ordinal);
        Assert.Contains("a fault is injected on purpose", await EventAsync(reader, "overview"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("?topics=nothing")]
    [InlineData("?topics=service:shop")]
    [InlineData("?topics=service:shop/a%0Aevent:x")]
    [InlineData("?topics=overview&window=x")]
    public async Task Stream_OfWrongTopics_SaysWhichThereAre(string query)
    {
        using var answer = await _api.GetAsync($"/api/v1/stream{query}", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    private static async Task<string> EventAsync(StreamReader reader, string name)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(20));
        while (await reader.ReadLineAsync(limit.Token) is { } line)
        {
            if (line == $"event: {name}")
            {
                return (await reader.ReadLineAsync(limit.Token))!["data: ".Length..];
            }
        }

        throw new EndOfStreamException();
    }

    private async Task OpenAsync()
    {
        _controlPlane = await TestControlPlane.StartAsync(_folder.FullName, fromFiles: true);
        _api = _controlPlane.Api();
    }

    private async Task CloseAsync()
    {
        _api.Dispose();
        await _controlPlane.DisposeAsync();
    }

    private async Task<(HttpStatusCode Status, JsonNode Body)> AddAsync(object fault)
    {
        using var answer = await _api.PostAsJsonAsync("/api/v1/faults", fault, TestContext.Current.CancellationToken);
        return (answer.StatusCode, JsonNode.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!);
    }

    private async Task<JsonNode> GetAsync(string path) => JsonNode.Parse(await _api.GetStringAsync(path, TestContext.Current.CancellationToken))!;

    private async Task<JsonArray> FaultsAsync() => (await GetAsync("/api/v1/faults"))["items"]!.AsArray();
}
