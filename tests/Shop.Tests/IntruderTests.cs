using Shop.Story;

namespace Shop.Tests;

public sealed class IntruderTests
{
    private static readonly Answer _refused = new(403, "PermissionDenied");
    private static readonly ExplainedRequest _denied = Explained(false);

    [Fact]
    public void NotRefused_AllRefusedAndExplainedSo_IsNothing() => Assert.Null(Checks.NotRefused([_refused, _refused], _denied));

    [Fact]
    public void NotRefused_NothingAsked_SaysSo() => Assert.Equal("nothing was asked", Checks.NotRefused([], _denied));

    [Theory]
    [InlineData(200, null)]
    [InlineData(403, null)] // by the app
    [InlineData(503, "NoHealthyEndpoint")]
    public void NotRefused_OneAnsweredOtherwise_IsNamed(int status, string? error)
    {
        var problem = Checks.NotRefused([_refused, new Answer(status, error), _refused], _denied);

        Assert.Equal($"1 of 3 were answered {status} (mesh-error {error ?? "none"}), not 403 by the mesh", problem);
    }

    [Theory]
    [InlineData(true, "allowed")]
    [InlineData(null, "reach nobody")]
    public void NotRefused_ExplainedOtherwise_SaysHow(bool? allowed, string expected) =>
        Assert.Contains(expected, Checks.NotRefused([_refused], Explained(allowed)), StringComparison.Ordinal);

    [Fact]
    public void Text_Verdict_NamesRuleFileAndLine()
    {
        var near = new NearRule("shop/payments/pays", "policies.yaml:45", "who: it is the cart");
        var explained = new ExplainedRequest(false, [new("denied", null, null, [near]), new("allowed", "shop/payments/pays", "policies.yaml:45", [])]);

        Assert.Equal("denied; nearest shop/payments/pays (policies.yaml:45): who: it is the cart; allowed (policies.yaml:45)", Checks.Text(explained));
    }

    private static ExplainedRequest Explained(bool? allowed) => new(allowed, []);
}
