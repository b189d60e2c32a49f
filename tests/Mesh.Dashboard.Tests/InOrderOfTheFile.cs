using Xunit.Sdk;
using Xunit.v3;

namespace Mesh.Dashboard.Tests;

/// <summary>Tests that share one mesh run as they are written: what is killed is killed last.</summary>
public sealed class InOrderOfTheFile : ITestMethodOrderer
{
    /// <inheritdoc/>
    public IReadOnlyCollection<TTestMethod?> OrderTestMethods<TTestMethod>(IReadOnlyCollection<TTestMethod?> testMethods)
        where TTestMethod : ITestMethod =>
        [.. testMethods.OrderBy(one => (one as IXunitTestMethod)?.Method.MetadataToken)];
}
