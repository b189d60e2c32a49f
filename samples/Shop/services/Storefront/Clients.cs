namespace Shop.Storefront;

internal sealed record Product(int Id, string Name);

internal sealed record Authorization(long Id, string State);

internal sealed class CatalogClient(HttpClient http)
{
    public async Task<Product> GetProductAsync(int id, CancellationToken cancellationToken) =>
        await http.GetFromJsonAsync<Product>($"/products/{id}", cancellationToken)
        ?? throw new HttpRequestException("The catalog answered without a product.");
}

internal sealed class PaymentsClient(HttpClient http)
{
    public async Task<Authorization> AuthorizeAsync(long id, CancellationToken cancellationToken)
    {
        using var response = await http.PutAsync(new Uri($"/authorizations/{id}", UriKind.Relative), content: null, cancellationToken);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<Authorization>(cancellationToken)
            ?? throw new HttpRequestException("Payments answered without an authorization.");
    }
}
