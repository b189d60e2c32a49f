using Mesh.ControlPlane.Model;
using Xunit;

namespace Mesh.ControlPlane.Tests.Model;

public sealed class LabelSelectorTests
{
    private static readonly Dictionary<string, string> Labels = new() { ["app"] = "cart", ["meshlib.io/tier"] = "gold", ["empty"] = "" };

    [Theory]
    [InlineData("app=cart", true)]
    [InlineData("app==cart", true)]
    [InlineData(" app = cart , empty", true)]
    [InlineData("app!=cart", false)]
    [InlineData("zone!=a", true)]
    [InlineData("zone", false)]
    [InlineData("!zone", true)]
    [InlineData("!app", false)]
    [InlineData("app in (web, cart)", true)]
    [InlineData("app in (web),empty", false)]
    [InlineData("app notin (web,cart)", false)]
    [InlineData("zone notin (a)", true)]
    [InlineData("empty=", true)]
    [InlineData("meshlib.io/tier=gold,app notin (a,b),empty", true)]
    public void Matches_AsKubernetesDoes(string text, bool matches) => Assert.Equal(matches, LabelSelector.Parse(text, out _)!.Matches(Labels));

    [Theory]
    [InlineData("")]
    [InlineData("=cart")]
    [InlineData("app=cart,")]
    [InlineData("app=a=b")]
    [InlineData("!app=cart")]
    [InlineData("app in cart")]
    [InlineData("app in (a")]
    [InlineData("app within (a)")]
    [InlineData("(a)")]
    [InlineData("app=<b>")]
    public void Parse_WhatIsNone_SaysWhatToWrite(string text)
    {
        Assert.Null(LabelSelector.Parse(text, out var problem));
        Assert.StartsWith("Give labels such as app=cart", problem, StringComparison.Ordinal);
    }
}
